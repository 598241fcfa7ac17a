"""What a worker does with images: decode them, and give them to a detector in a child process of its own.

Nothing here is timed for a report: other workers run beside it.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from ....datasets import Decoded, Source, decode
from ....datasets.images import DEFAULT_MAX_PIXELS
from ....detectors import Device, resolve_all
from ....errors import DetectorRaisedError, FacebenchError, WorkerError
from ...store.journal import ImageRecord
from ...store.records import Protocol, Start, StoredCell
from ..cell import make_cell, stored_cell
from ..detector_process import DetectorProcess, Limits
from ..environment import usable_cores
from .base import WorkerSlot

DEATHS_ALLOWED = 2
"""Children that an image may take with it before it is skipped."""
_SAME_EVERYWHERE = ("code", "models", "packages", "parameters")


@dataclass(frozen=True, slots=True)
class Item:
    """An image to work on.

    Attributes:
        image_id: of the image.
        source: where its bytes are; a path must lead to them where the worker runs.
        deaths: how many children have ended on it before.
    """

    image_id: str
    source: Source
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """What an image is, as pictures.parquet has it.

    Attributes:
        image_id: of the image.
        verdict: of `datasets.decode`.
        detail: why.
        width: pixels, 0 where it cannot be decoded.
        height: likewise.
        decode_ms: how long that took, beside other work.
    """

    image_id: str
    verdict: str
    detail: str
    width: int
    height: int
    decode_ms: float


@dataclass(frozen=True, slots=True)
class ChunkAnswer:
    """What a detector did with one chunk.

    Attributes:
        records: of the images that it answered, their times nan.
        skipped: image -> why the detector failed on it for good.
        deaths: (image, why) for each child that ended.
        starts: of the children, what they said of themselves; times are left out.
        fatal: why the detector cannot be used at all, or "".
        changed: which image can no longer be read, and why, or "".
        peak_rss_mb: largest resident memory of the children so far.
        device_memory_mb: largest device memory, where the library can tell.
        seconds: that the chunk took, starts of children left out.
    """

    records: Sequence[ImageRecord]
    skipped: Mapping[str, str]
    deaths: Sequence[tuple[str, str]]
    starts: Sequence[Start]
    fatal: str
    changed: str
    peak_rss_mb: float
    device_memory_mb: float | None
    seconds: float


class ImageReader:
    """Decodes images and says what they are."""

    def __init__(self, max_pixels: int, slot: WorkerSlot) -> None:
        """Need nothing of the slot."""
        self._max_pixels = max_pixels

    def __call__(self, chunk: Sequence[Item]) -> list[Look]:
        """Return what each image of the chunk is."""
        return [look(item.image_id, item.source, self._max_pixels)[0] for item in chunk]

    def close(self) -> None:
        """Hold nothing."""


def look(image_id: str, source: Source, max_pixels: int) -> tuple[Look, Decoded]:
    """Decode one image and say what it is."""
    began = time.perf_counter()
    decoded = decode(source, max_pixels=max_pixels)
    decode_ms = (time.perf_counter() - began) * 1000
    height, width = decoded.image.shape[:2] if decoded.image is not None else (0, 0)
    return Look(image_id, decoded.verdict, decoded.detail, width, height, decode_ms), decoded


@dataclass(frozen=True, slots=True)
class DetectorTask:
    """Everything a worker needs to make its detector; called with a slot, it makes the worker.

    Attributes:
        spec: spec string; it is resolved in the worker.
        protocol: how images are given.
        device: "cpu" or "cuda".
        threads: CPU threads.
        score_floor: keep detections down to this score.
        threshold: score from which a detection is a face; None for the detector's own.
        limits: time and memory of the child.
        expected: what must be the same in the worker as here: the code, the models and the packages of the cell.
        max_pixels: of the images, see `datasets.decode`.
    """

    spec: str
    protocol: Protocol
    device: Device
    threads: int
    score_floor: float
    threshold: float | None
    limits: Limits
    expected: Mapping[str, Any]
    max_pixels: int = DEFAULT_MAX_PIXELS

    @classmethod
    def of(cls, stored: StoredCell, limits: Limits, max_pixels: int = DEFAULT_MAX_PIXELS) -> DetectorTask:
        """Return the task of a stored cell."""
        return cls(
            stored.spec,
            stored.protocol,
            stored.device,
            stored.threads,
            stored.kept_from,
            stored.threshold,
            limits,
            {name: getattr(stored, name) for name in _SAME_EVERYWHERE},
            max_pixels,
        )

    def __call__(self, slot: WorkerSlot) -> DetectorWorker:
        """Return a worker; its child starts with the first chunk."""
        return DetectorWorker(self, slot)


class DetectorWorker:
    """A detector in a child process, and the decoder before it.

    On a GPU the next image is decoded while the child works; on a CPU both have the same cores.
    """

    def __init__(self, task: DetectorTask, slot: WorkerSlot) -> None:
        self._task = task
        self._other = _difference(task)
        self._decode = partial(decode, max_pixels=task.max_pixels)
        self._ahead = ThreadPoolExecutor(1) if task.device != "cpu" else None
        self._log, path = _nameless_file()
        self._child = DetectorProcess(
            task.spec,
            device=task.device,
            threads=task.threads,
            score_floor=task.score_floor,
            threshold=task.threshold,
            size=task.protocol.size,
            limits=task.limits,
            log=path,
            # not the last core, which a single child takes: all children of a node would be held on it
            cores=slot.cores or usable_cores(),
        )

    def __call__(self, chunk: Sequence[Item]) -> ChunkAnswer:
        """Detect on each image of the chunk; whatever the detector does is in the answer."""
        began = time.perf_counter()
        chunk_run = _Chunk(self._child, self._other)
        decoded = (self._decode(item.source) for item in chunk) if self._ahead is None else self._decode_ahead(chunk)
        for item, image in zip(chunk, decoded, strict=True):
            if chunk_run.fatal or chunk_run.changed:
                break
            chunk_run.detect(item, image)
        return chunk_run.answer(time.perf_counter() - began)

    def _decode_ahead(self, chunk: Sequence[Item]) -> Any:
        assert self._ahead is not None
        return self._ahead.map(self._decode, [item.source for item in chunk])

    def close(self) -> None:
        """End the child."""
        self._child.close()
        self._log.close()
        if self._ahead is not None:
            self._ahead.shutdown(cancel_futures=True)


def _nameless_file() -> tuple[IO[bytes], Path]:
    """Return a file and a path to it within this process; on Linux it is gone with the process, however that ends."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
    path = Path(f"/proc/self/fd/{file.fileno()}")
    if path.exists():
        return file, path
    file.close()
    named = tempfile.NamedTemporaryFile(prefix="facebench-worker-")  # noqa: SIM115
    return named, Path(named.name)


class _Chunk:
    """The work on one chunk, as it grows."""

    def __init__(self, child: DetectorProcess, other: str) -> None:
        self.fatal = other
        self.changed = ""
        self._child = child
        self._records: list[ImageRecord] = []
        self._skipped: dict[str, str] = {}
        self._deaths: list[tuple[str, str]] = []
        self._starts: list[Start] = []
        self._starting_s = 0.0
        self._peak_rss_mb = 0.0
        self._device_memory_mb: float | None = None

    def detect(self, item: Item, image: Decoded) -> None:
        """Try an image until it is answered or skipped, or the detector cannot be used."""
        if image.image is None:
            self.changed = f"{item.image_id} is now {image.verdict}: {image.detail}"
            return
        deaths = item.deaths
        while True:
            if not self._child.running and not self._start():
                return
            try:
                found = self._child.detect(image.image)
            except DetectorRaisedError as error:
                self._skipped[item.image_id] = str(error)
                return
            except WorkerError as error:
                deaths += 1
                self._deaths.append((item.image_id, str(error)))
                if deaths >= DEATHS_ALLOWED:
                    self._skipped[item.image_id] = str(error)
                    return
                continue
            pixels = image.image.shape[0] * image.image.shape[1]
            self._records.append(ImageRecord(item.image_id, found.detections, math.nan, pixels))
            self._peak_rss_mb = max(self._peak_rss_mb, found.peak_rss_mb)
            if found.device_memory_mb is not None:
                self._device_memory_mb = max(self._device_memory_mb or 0.0, found.device_memory_mb)
            return

    def _start(self) -> bool:
        began = time.perf_counter()
        try:
            start = self._child.start()
        except WorkerError as error:
            self.fatal = f"cannot be loaded: {error}"
            return False
        finally:
            self._starting_s += time.perf_counter() - began
        self._starts.append(replace(start, spawn_s=None, import_s=None, load_s=None))
        return True

    def answer(self, seconds: float) -> ChunkAnswer:
        return ChunkAnswer(
            self._records,
            self._skipped,
            self._deaths,
            self._starts,
            self.fatal,
            self.changed,
            self._peak_rss_mb,
            self._device_memory_mb,
            seconds - self._starting_s,
        )


def _difference(task: DetectorTask) -> str:
    """Say what here is not as where the run was started, or nothing."""
    try:
        (spec,) = resolve_all([task.spec])
        missing = spec.missing()
        if missing is not None:
            return f"a worker cannot load it: {missing}. {missing.remedy}"
        here = stored_cell(spec, make_cell(spec, "", task.protocol, task.device, task.threads))
    except FacebenchError as error:
        return f"a worker cannot load it: {error}"
    for name in _SAME_EVERYWHERE:
        got, expected = getattr(here, name), task.expected[name]
        if got != expected:
            return (
                f"a worker has other {name} than the program that started the run: {_unlike(got, expected)}; install "
                "the same versions on every machine"
            )
    return ""


def _unlike(got: Any, expected: Any) -> str:
    if not (isinstance(got, Mapping) and isinstance(expected, Mapping)):
        return f"{got}, here {expected}"
    names = sorted(name for name in {*got, *expected} if got.get(name) != expected.get(name))
    return ", ".join(f"{name} {got.get(name, 'none')}, here {expected.get(name, 'none')}" for name in names)
