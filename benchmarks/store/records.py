"""A cell as run.json holds it. Attributes are named as keys are, but for those that say otherwise."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ...detectors import DetectorInfo, Device, Setting
from ...detectors.resized import check_size
from ...errors import ContractError, ResultsError
from .plain import EXACT, LEFT_OUT, Record, named

UNKNOWN_SIZE = "unknown"
"""The size of predictions from a file, which does not say how the images were given to the program."""
Status = Literal["running", "done", "failed", "unavailable", "damaged"]
MOST_MS = 1000.0 * 24 * 60 * 60
"""A day, more than any call takes."""
_MOST = 2**53


def check_time(name: str, ms: float) -> None:
    """Refuse milliseconds that no call takes; nan stands for what was not measured.

    Raises:
        ContractError: negative, infinite, more than a day, or no number.
    """
    if not (_is_number(ms) and (math.isnan(ms) or 0 <= ms <= MOST_MS)):
        raise ContractError(f"got {name} {ms!r:.60}, expected milliseconds from 0 to {MOST_MS:g}")


def check_amount(name: str, amount: float) -> None:
    """Refuse a count or an amount of memory that is none.

    Raises:
        ContractError: negative, more than 2^53, nan, or no number.
    """
    if not (_is_number(amount) and 0 <= amount <= _MOST):
        raise ContractError(f"got {name} {amount!r:.60}, expected a number from 0 to {_MOST}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Protocol(Record):
    """How images are given to a detector; part of a result's identity.

    Attributes:
        size: as `detectors.resized` describes it: "original", "long=640", "tiles:640". Resizing is inside
            the clock, boxes come back in the image's own pixels. `UNKNOWN_SIZE` where that is not known.
        score_floor: keep detections down to this score, or None for each detector's own floor (`DetectorInfo`).
            Times are taken at the threshold, not here.

    Raises:
        UsageError: the size is written wrongly.
    """

    size: str = "original"
    score_floor: float | None = field(default=None, metadata=EXACT)

    def __post_init__(self) -> None:
        if self.size != UNKNOWN_SIZE:
            check_size(self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Record):
    """A start of the child: what it cost and what the libraries said. What was not measured is None.

    Attributes:
        round: that it was made for.
        timed: whether the calls after it are timed at the threshold; else they give detections alone.
        started: seconds since the epoch.
        spawn_s: from the call until the child's first word.
        import_s: importing facebench's detectors (NumPy and OpenCV with it).
        load_s: importing the detector's library and loading its model.
        device_used: read back from the library.
        threads_used: read back from the library, None where it cannot tell.
        precision_used: in which the network computes, read back from the library; None where it was not asked.
        library_threads: threads of the libraries loaded, and cores in the child's mask.
        threads_put_back: library -> (threads that it had given itself on import, threads now).
        operating_threshold: score from which the detector means "face".
        score_floor: lowest score that is stored.
        first_call_s: the first call, which many libraries use to get ready.
        timed_from: lowest score that the timed calls return; runs of before timed the pass at the floor.

    Raises:
        ContractError: a score is not finite, or a time is none or absurd.
    """

    round: int = 0
    timed: bool = False
    started: float | None = field(default=None, metadata=LEFT_OUT)
    spawn_s: float | None = field(default=None, metadata=LEFT_OUT)
    import_s: float | None = field(default=None, metadata=LEFT_OUT)
    load_s: float | None = field(default=None, metadata=LEFT_OUT)
    device_used: str = ""
    threads_used: int | None = None
    precision_used: str | None = field(default=None, metadata=LEFT_OUT)
    library_threads: Mapping[str, int] = field(default_factory=dict)
    threads_put_back: Mapping[str, tuple[int, int]] | None = field(default=None, metadata=LEFT_OUT)
    operating_threshold: float
    score_floor: float
    first_call_s: float | None = field(default=None, metadata=LEFT_OUT)
    timed_from: float | None = field(default=None, metadata=LEFT_OUT)

    def __post_init__(self) -> None:
        for name in ("operating_threshold", "score_floor", "timed_from"):
            score = getattr(self, name)
            if score is not None and not (_is_number(score) and math.isfinite(score)):
                raise ContractError(f"got the {name} {score!r:.60}, expected a finite number")
        for name in ("spawn_s", "import_s", "load_s", "first_call_s"):
            seconds = getattr(self, name)
            if seconds is not None and not (_is_number(seconds) and 0 <= seconds <= MOST_MS / 1000):
                raise ContractError(f"got {name} {seconds!r:.60}, expected seconds from 0 to {MOST_MS / 1000:g}")
        check_amount("the round", self.round)

    @property
    def timed_at(self) -> float:
        """The lowest score that the timed calls return."""
        return self.score_floor if self.timed_from is None else self.timed_from


@dataclass(frozen=True, slots=True)
class PredictionsInfo(Record):
    """What is said of a file of predictions that was scored as a run.

    Attributes:
        format: "wider", "coco", "jsonl" or "yolo".
        source: name of the file with that of its folder; empty in folders of before.
        images: that it has rows for; "pictures" in the file.
        missing: images of the data set that it lacks.
        extra: images that the data set lacks.
        outside: images of the data set outside the part that is scored.
        remarks: what must stand beside the numbers.
        path_hash: tells files of one name apart without naming folders of a machine; empty in folders of before.
    """

    format: str
    images: int = field(metadata=named("pictures"))
    missing: int
    extra: int
    outside: int
    remarks: tuple[str, ...]
    source: str = ""
    path_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSize(Record):
    """What one batch size came to; its times lie in a table of their own.

    Attributes:
        images: in a full batch.
        reason: why there are no times of it, or "".
        differ: images in whose batch other boxes were found than in the image alone.
        peak_rss_mb: largest resident memory of a child that has run batches up to this size.
        device_memory_mb: the same on the device, where the library can tell.

    Raises:
        ContractError: a number is none or absurd.
    """

    images: int
    reason: str = ""
    differ: int = 0
    peak_rss_mb: float | None = None
    device_memory_mb: float | None = None

    def __post_init__(self) -> None:
        for name in ("images", "differ", "peak_rss_mb", "device_memory_mb"):
            amount = getattr(self, name)
            check_amount(name, 0.0 if amount is None else amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching(Record):
    """What a cell knows of batches.

    Attributes:
        together: whether the detector runs the images of a batch together; False: one after the other.
        rounds: how often each image was timed at each size.
        sizes: the smallest first, which is 1.
    """

    together: bool
    rounds: int
    sizes: tuple[BatchSize, ...]


@dataclass(frozen=True, slots=True)
class BatchCall:
    """One timed call of a batch.

    Attributes:
        batch: images in a full one.
        round: 0 for the first.
        image_ids: that it held; fewer where no more had their size.
        batch_ms: wall time of the call.
    """

    batch: int
    round: int
    image_ids: tuple[str, ...]
    batch_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCell(Record):
    """A row of the matrix: what was measured, and what it ended in.

    Attributes:
        key: `Cell.key`, a hash of everything that can change the result.
        folder: name of its folder in RUN/cells.
        spec: see `Cell`, as all that follows down to `threshold`.
        detector: the detector's name.
        parameters: all its parameters, as JSON holds them.
        models: name -> sha256.
        code: hash over the adapter's code and what measures it.
        packages: name -> version.
        protocol: how images were given.
        device: "cpu" or "cuda".
        threads: CPU threads.
        machine: processor and cores.
        threshold: None for the detector's own.
        info: the detector's card.
        status: "running" until it has one of the others; "damaged" where its record or its tables cannot be believed.
        reason: why it failed, is unavailable or damaged.
        remedy: the command that makes it available, or ""; "mend" in the file.
        rounds: how often each image was timed.
        rounds_started: when each round began, seconds since the epoch.
        detections_differ: calls of later rounds that found something else than the first.
        repeats_failed: calls of later rounds that failed.
        failed_images: image -> why the detector failed on it for good; "failed_pictures" in the file.
        start: the first timed one, else the first; None where none succeeded.
        starts: how many there were.
        peak_rss_mb: largest resident memory of the child.
        device_memory_mb: largest device memory, where the library can tell.
        predictions: for detections from a file; nothing was measured then.
        batching: None where no batches were asked for.
    """

    key: str
    folder: str
    spec: str
    detector: str
    parameters: Mapping[str, Any]
    models: Mapping[str, str]
    code: str
    packages: Mapping[str, str]
    protocol: Protocol
    device: Device
    threads: int
    machine: str
    threshold: float | None = field(default=None, metadata=EXACT)
    info: DetectorInfo
    status: Status
    reason: str = ""
    remedy: str = field(default="", metadata=named("mend"))
    rounds: int = 0
    rounds_started: tuple[float | None, ...] = ()
    detections_differ: int = 0
    repeats_failed: int = 0
    failed_images: Mapping[str, str] = field(default_factory=dict, metadata=named("failed_pictures"))
    start: Start | None = None
    starts: int = 0
    peak_rss_mb: float | None = None
    device_memory_mb: float | None = None
    predictions: PredictionsInfo | None = field(default=None, metadata=LEFT_OUT)
    batching: Batching | None = field(default=None, metadata=LEFT_OUT)

    def __post_init__(self) -> None:
        if self.done and self.start is None:
            raise ResultsError("start is missing, expected that of a finished cell")
        if self.status == "damaged":
            return
        if self.folder in ("", ".", "..") or re.search(r"[/\\\0]", self.folder):
            raise ResultsError(f"folder: got {self.folder!r:.60}, expected the name of a folder in cells")
        for name in ("threads", "rounds", "starts", "detections_differ", "repeats_failed"):
            check_amount(name, getattr(self, name))
        for name in ("peak_rss_mb", "device_memory_mb"):
            memory = getattr(self, name)
            check_amount(name, 0.0 if memory is None or math.isnan(memory) else memory)

    @property
    def done(self) -> bool:
        """Whether it has detections."""
        return self.status == "done"

    @property
    def label(self) -> str:
        """Its name: the spec, with threshold, size, device and threads where they are not the usual ones."""
        parts = [self.spec]
        if self.threshold is not None:
            parts.append(f"from {self.threshold:.4g}")
        if self.protocol.size not in ("original", UNKNOWN_SIZE):
            parts.append(self.protocol.size)
        if self.device != "cpu":
            parts.append(self.device)
        if self.threads != 1:
            parts.append(f"{self.threads} threads")
        return ", ".join(parts)

    @property
    def setting(self) -> Setting:
        """How the detector was run.

        Raises:
            UsageError: predictions from a file do not say.
        """
        return Setting(self.spec, self.threshold, self.protocol.size, self.device, self.threads)

    @property
    def but_threshold(self) -> tuple[str, str, Device, int]:
        """What it was measured in but for its threshold: spec, size, device, threads."""
        return self.spec, self.protocol.size, self.device, self.threads

    @property
    def place(self) -> tuple[object, ...]:
        """What a run has one cell of."""
        return *self.but_threshold, self.threshold, self.protocol.score_floor

    @property
    def kept_from(self) -> float:
        """How far down scores are kept: as the protocol says, else the card's floor; no higher than a threshold."""
        asked = self.protocol.score_floor
        if asked is None or self.info.score_kind != "probability":
            asked = self.info.score_floor
        return asked if self.threshold is None else min(asked, self.threshold)

    @property
    def operating_threshold(self) -> float:
        """The score from which a detection is a face; nan where the detector did not start."""
        return math.nan if self.start is None else self.start.operating_threshold

    @property
    def score_floor(self) -> float:
        """The lowest score that is stored; nan where the detector did not start."""
        return math.nan if self.start is None else self.start.score_floor

    @property
    def cold_start_s(self) -> float:
        """Seconds from an empty process to the first result; nan where that was not measured."""
        start = self.start
        parts = (start.spawn_s, start.import_s, start.load_s, start.first_call_s) if start else (None,)
        return sum(math.nan if part is None else part for part in parts)
