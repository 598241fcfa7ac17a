"""A stress run: the same detectors on the images as they are, then on each degradation of them.

```
RUN/                        the run on the images as they are, like any other
RUN/stress/stress.json      schema, seed, and for each degradation its folder, its level in words and its fingerprint
RUN/stress/blur-3/          the run on one degradation, like any other
RUN/stress/strips/          one face under each degradation, see `stress_strips`
```

Every folder is an ordinary run, so an interrupted stress run goes on where it stopped, and further kinds and severities
are added to what is there. Detectors without a result on the images as they are, are not run on the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from ...datasets.degraded.degradations import KINDS, Degradation
from ...datasets.degraded.degraded import degrade
from ...errors import ResultsError, UsageError
from ..measure.cell_outcome import finished_before
from ..measure.plan import NullObserver, Observer, Plan
from ..measure.runner import run
from ..store.documents import json_text, read_document, sealed
from ..store.plain import Record
from ..store.records import StoredCell
from ..store.run_folder import RunFolder, write_atomically
from .strips import write_strips

SCHEMA = "facebench.stress"
SCHEMA_VERSION = 1
FOLDER = "stress"
_REMEDY = "Remove the folder and run again: facebench stress"


@dataclass(frozen=True, slots=True)
class Condition:
    """A degradation of a stress run.

    Attributes:
        degradation: kind and severity.
        words: what it does, such as "JPEG of quality 25".
        fingerprint: of the degraded data set.
    """

    degradation: Degradation
    words: str
    fingerprint: str

    @property
    def folder(self) -> str:
        """Name of its run folder in RUN/stress."""
        return f"{self.degradation.kind}-{self.degradation.severity}"


@dataclass(frozen=True, slots=True)
class StressIndex:
    """What RUN/stress/stress.json holds.

    Attributes:
        seed: of what is drawn at random in the degradations.
        conditions: by kind and severity, those wanted so far; their runs may be unfinished.
    """

    seed: int
    conditions: tuple[Condition, ...]


def run_stress(
    plan: Plan,
    out: Path,
    degradations: Sequence[Degradation],
    *,
    seed: int = 0,
    observer: Observer | None = None,
) -> RunFolder:
    """Run the plan on the images as they are and on every degradation of them; what is there is not run again.

    Args:
        plan: what to run; its data set is the one to be degraded. Rounds 0 with an executor measures no time.
        out: the results folder.
        degradations: without repetition.
        seed: of what is drawn at random in the degradations.
        observer: is told of every run, with the degradation behind the detector's name.

    Raises:
        UsageError: no degradation is asked for, the data set is degraded already, or the folder holds a run of other
            images or of another seed.
        ResultsError: a folder cannot be written, or another process writes into it.
    """
    if not degradations:
        raise UsageError("no degradation is asked for, expected at least one kind and one severity")
    if "degrade=" in plan.dataset.name:
        raise UsageError(f"{plan.dataset.name} is degraded already; give the data set as it is")
    observer = observer or NullObserver()
    folder = run(plan, out, observer)
    found = {cell.spec for cell in folder.cells if cell.done}
    plan = replace(
        plan,
        detectors=[spec for spec in plan.detectors if str(spec) in found],
        settings=[setting for setting in plan.settings if str(setting.resolve()) in found],
    )
    degraded = {one: degrade(plan.dataset, one, seed) for one in degradations}
    _write_index(folder, {one: dataset.fingerprint for one, dataset in degraded.items()}, seed)
    for one, dataset in degraded.items():
        there = replace(plan, dataset=dataset)
        place = out / FOLDER / Condition(one, one.words, dataset.fingerprint).folder
        if (plan.detectors or plan.settings) and not _finished(there, place):
            run(there, place, _Named(observer, str(one)))
    index = read_index(folder)
    assert index is not None, "it was written above"
    write_strips(out / FOLDER, plan.dataset, [one.degradation for one in index.conditions], seed)
    return folder


def all_degradations(kinds: Sequence[str], severities: Sequence[int]) -> list[Degradation]:
    """Return every kind at every severity, each once.

    Raises:
        UsageError: there is no such kind or severity.
    """
    return list(dict.fromkeys(Degradation(kind, severity) for kind, severity in product(kinds, severities)))


def read_index(run_folder: RunFolder) -> StressIndex | None:
    """Return what a stress run wanted; None where the folder holds none.

    Raises:
        ResultsError: stress.json is damaged.
        SchemaVersionError: it was written by another version of the format.
    """
    path = run_folder.path / FOLDER / "stress.json"
    if not path.exists():
        return None
    document = read_document(path, SCHEMA, SCHEMA_VERSION, _REMEDY, folder=run_folder.path)
    try:
        index = _Index.from_json(document)
        conditions = (
            Condition(Degradation(one.kind, one.severity), one.words, one.fingerprint) for one in index.conditions
        )
        return StressIndex(index.seed, tuple(conditions))
    except (ResultsError, UsageError) as error:
        raise ResultsError(f"{path} is damaged: {error}. {_REMEDY}") from error


@dataclass(frozen=True, slots=True)
class _StoredCondition(Record):
    kind: str
    severity: int
    words: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Index(Record):
    seed: int
    conditions: tuple[_StoredCondition, ...]


def open_condition(run_folder: RunFolder, condition: Condition) -> RunFolder | None:
    """Return the run on one degradation; None where it has not begun.

    Raises:
        ResultsError: it cannot be read, or holds other images than the stress run wanted.
    """
    path = run_folder.path / FOLDER / condition.folder
    if not (path / "pictures.parquet").exists():
        return None
    opened = RunFolder.open(path)
    if opened.document.dataset.fingerprint != condition.fingerprint:
        raise ResultsError(f"{path} holds a run with other images than its stress run wanted. {_REMEDY}")
    return opened


def _write_index(folder: RunFolder, wanted: dict[Degradation, str], seed: int) -> None:
    """Add to what was wanted before.

    Raises:
        UsageError: degradations of another seed, or made by another version, are there.
    """
    before = read_index(folder)
    fingerprints = {one.degradation: one.fingerprint for one in before.conditions} if before else {}
    other = [one for one, fingerprint in wanted.items() if fingerprints.get(one, fingerprint) != fingerprint]
    if other or (before is not None and before.seed != seed):
        raise UsageError(
            f"{folder.path} holds degradations of other images, of another seed, or made by another facebench. "
            "Choose another --out"
        )
    both = sorted((fingerprints | wanted).items(), key=lambda item: (list(KINDS).index(item[0].kind), item[0].severity))
    conditions = [
        {"kind": one.kind, "severity": one.severity, "words": one.words, "fingerprint": fingerprint}
        for one, fingerprint in both
    ]
    document = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "seed": seed, "conditions": conditions}
    write_atomically(folder.path / FOLDER / "stress.json", json_text(sealed(document)).encode())


def _finished(plan: Plan, out: Path) -> bool:
    """Whether there is nothing left to run, which spares decoding images again for the previews."""
    if not (out / "run.json").exists():
        return False
    folder = RunFolder.open(out)
    if folder.document.dataset.fingerprint != plan.dataset.fingerprint:
        return False
    found = [finished_before(folder, cell.key) for _, cell in plan.cells()]
    return all(cell is not None and cell.rounds >= plan.rounds for cell in found)


class _Named:
    """Hands on what a run tells, with the degradation behind the name of the detector."""

    def __init__(self, observer: Observer, degradation: str) -> None:
        self._observer = observer
        self._degradation = degradation

    def decoding(self, done: int, total: int) -> None:
        self._observer.decoding(done, total)

    def cell_begins(self, cell: StoredCell, done: int, total: int) -> None:
        self._observer.cell_begins(self._named(cell), done, total)

    def image_done(self) -> None:
        self._observer.image_done()

    def cell_ends(self, cell: StoredCell) -> None:
        self._observer.cell_ends(self._named(cell))

    def warns(self, text: str) -> None:
        self._observer.warns(text)

    def _named(self, cell: StoredCell) -> StoredCell:
        return replace(cell, spec=f"{cell.spec} on {self._degradation}")
