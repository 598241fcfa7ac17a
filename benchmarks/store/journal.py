"""The growing file of a cell while it runs: one JSON line an event, so that a crash costs the last line at most."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...detectors import Detections
from ...errors import ResultsError
from .records import Start


@dataclass(frozen=True, slots=True, eq=False)
class ImageRecord:
    """What one detector gave for one image in the first round.

    Attributes:
        image_id: of the image.
        detections: what was found.
        detect_ms: wall time of the call.
        pixels: of the image, before any resizing.
        cpu_ms: processor time of the call; nan where it was not measured.
        stages_ms: pre, inference and post, where the adapter can tell.
        queued_ms: how long it could have run and had no core; nan where that is not known.
    """

    image_id: str
    detections: Detections
    detect_ms: float
    pixels: int
    cpu_ms: float = math.nan
    stages_ms: tuple[float, float, float] | None = None
    queued_ms: float = math.nan


@dataclass(frozen=True, slots=True)
class Repeat:
    """A later round's timing of one image.

    Attributes:
        round: 1 for the second time.
        image_id: of the image.
        detect_ms: wall time of the call; nan where it failed.
        cpu_ms: processor time of the call.
        stages_ms: pre, inference and post, where the adapter can tell.
        detections: how many were found.
        same: whether they equal those of the first round, bit by bit.
        queued_ms: how long it could have run and had no core; nan where that is not known.
    """

    round: int
    image_id: str
    detect_ms: float
    cpu_ms: float
    stages_ms: tuple[float, float, float] | None
    detections: int
    same: bool
    queued_ms: float = math.nan


@dataclass(slots=True)
class JournalContent:
    """What a journal holds.

    Attributes:
        records: finished images of the first round, in the order measured.
        repeats: timings of later rounds, in the order measured.
        skipped: images that failed for good -> why.
        deaths: image -> why the child ended on it.
        starts: of the child.
        peak_rss_mb: largest resident memory.
        device_memory_mb: largest device memory, where the library can tell.
    """

    records: dict[str, ImageRecord] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    deaths: dict[str, list[str]] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    peak_rss_mb: float = 0.0
    device_memory_mb: float | None = None

    def see_memory(self, peak_rss_mb: float, device_memory_mb: float | None) -> None:
        """Keep the largest."""
        self.peak_rss_mb = max(self.peak_rss_mb, peak_rss_mb)
        if device_memory_mb is not None:
            self.device_memory_mb = max(self.device_memory_mb or 0.0, device_memory_mb)


class Journal:
    """The growing file of a running cell: one JSON line an event, flushed at each.

    A process killed in the middle of a line leaves a torn one; opening the journal cuts it off.

    Attributes:
        landmarks_seen: whether an image that this object read or wrote has landmarks.
    """

    def __init__(self, path: Path) -> None:
        self.landmarks_seen = False
        self._path = path
        self._file: FileIO | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self._path.exists()

    def open(self, content: JournalContent | None = None) -> JournalContent:
        """Read what is there, cut off a torn last line, and open for appending.

        Args:
            content: what was known before the journal began; the journal's events are added to it.

        Raises:
            ResultsError: the file cannot be read or written.
        """
        content = content or JournalContent()
        for _, event in self._open():
            _collect(content, event)
        return content

    def open_index(self) -> tuple[JournalContent, dict[str, int]]:
        """Open like `open`, but keep of a finished image only where its line begins; see `read`.

        Returns:
            The content without its records, and image_id -> place.

        Raises:
            ResultsError: the file cannot be read or written.
        """
        content, places = JournalContent(), {}
        for place, event in self._open():
            if event["event"] == "picture":
                places[event["image_id"]] = place
                self._see_landmarks(event)
                content.see_memory(event["peak_rss_mb"], event.get("device_memory_mb"))
            else:
                _collect(content, event)
        return content, places

    def read(self, places: Iterable[int]) -> Iterator[ImageRecord]:
        """Read finished images back, one at a time.

        Args:
            places: where their lines begin.

        Raises:
            ResultsError: the file cannot be read, or was changed by somebody else.
        """
        try:
            with self._path.open("rb") as file:
                for place in places:
                    file.seek(place)
                    event = _parse(file.readline())
                    if event is None or event["event"] != "picture":
                        raise ResultsError(
                            f"{self._path} was changed while it was in use; run again into another --out"
                        )
                    yield _record(event)
        except OSError as error:
            raise ResultsError(f"cannot read {self._path}: {error.strerror or error}") from error

    def _open(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the whole lines and where they begin; then cut off what follows and open for appending."""
        whole = 0
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                with self._path.open("rb") as file:
                    for line in file:
                        event = _parse(line)
                        if event is None and line.endswith(b"\n"):
                            raise ResultsError(
                                f"{self._path} is damaged {whole:,} bytes from its beginning, expected a line of JSON. "
                                "Remove it to measure its detector again"
                            )
                        if event is None:
                            break
                        yield whole, event
                        whole += len(line)
            # without a buffer: what a full disk refused must not be tried again when the file is closed
            self._file = self._path.open("ab", buffering=0)
            self._file.truncate(whole)
            self._file.seek(whole)
        except OSError as error:
            raise ResultsError(f"cannot open {self._path}: {error.strerror or error}") from error

    def _see_landmarks(self, event: Mapping[str, Any]) -> None:
        self.landmarks_seen = self.landmarks_seen or bool(event["landmarks"])

    def image(self, record: ImageRecord, peak_rss_mb: float, device_memory_mb: float | None = None) -> int:
        """Add a finished image of the first round; return where its line begins."""
        found = record.detections
        event = {
            "event": "picture",
            "image_id": record.image_id,
            "detect_ms": record.detect_ms,
            "pixels": record.pixels,
            "cpu_ms": record.cpu_ms,
            "stages_ms": record.stages_ms,
            "queued_ms": record.queued_ms,
            "peak_rss_mb": round(peak_rss_mb, 1),
            "device_memory_mb": device_memory_mb,
            "boxes": _encode(found.boxes),
            "scores": _encode(found.scores),
            "landmarks": None if found.landmarks is None else _encode(found.landmarks),
        }
        self._see_landmarks(event)
        return self._append(event)

    def repeat(self, repeat: Repeat) -> None:
        """Add a later round's timing of an image."""
        self._append({"event": "repeat", **dataclasses.asdict(repeat)})

    def start(self, start: Start) -> None:
        """Add a start of the child and what it cost."""
        self._append({"event": "start", **start.to_json()})

    def death(self, image_id: str, reason: str) -> None:
        """Add that the child ended on this image."""
        self._append({"event": "death", "image_id": image_id, "reason": reason})

    def skipped(self, image_id: str, reason: str) -> None:
        """Add that this image failed for good."""
        self._append({"event": "put_aside", "image_id": image_id, "reason": reason})

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def delete(self) -> None:
        """Remove the file once its content lies in the tables."""
        self.close()
        with suppress(OSError):  # one that stays does no harm
            self._path.unlink(missing_ok=True)

    def _append(self, event: dict[str, Any]) -> int:
        """Write one line; return where it begins."""
        assert self._file is not None, "open() comes first"
        try:
            place = self._file.tell()
            line = memoryview(json.dumps(event).encode() + b"\n")
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise ResultsError(
                f"cannot write {self._path}: {error.strerror or error}. What was measured before is kept; "
                "free some space and run the same command again"
            ) from error
        return place


def _parse(line: bytes) -> dict[str, Any] | None:
    """Read one line; None where it is torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _collect(content: JournalContent, event: dict[str, Any]) -> None:
    kind = event.pop("event")
    if kind == "picture":
        content.records[event["image_id"]] = _record(event)
        content.see_memory(event["peak_rss_mb"], event.get("device_memory_mb"))
    elif kind == "repeat":
        content.repeats.append(Repeat(**{**event, "stages_ms": _stages(event)}))
    elif kind == "start":
        content.starts.append(Start.from_json(event))
    elif kind == "death":
        content.deaths.setdefault(event["image_id"], []).append(event["reason"])
    elif kind == "put_aside":
        content.skipped[event["image_id"]] = event["reason"]


def _record(event: Mapping[str, Any]) -> ImageRecord:
    landmarks = event["landmarks"]
    detections = Detections(
        _decode(event["boxes"], (-1, 4)),
        _decode(event["scores"], (-1,)),
        None if landmarks is None else _decode(landmarks, (-1, 5, 2)),
    )
    return ImageRecord(
        event["image_id"],
        detections,
        event["detect_ms"],
        event["pixels"],
        event.get("cpu_ms", math.nan),
        _stages(event),
        event.get("queued_ms", math.nan),
    )


def _stages(event: Mapping[str, Any]) -> tuple[float, float, float] | None:
    stages = event.get("stages_ms")
    return None if stages is None else (stages[0], stages[1], stages[2])


def _encode(array: NDArray[np.float32]) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")


def _decode(text: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32).reshape(shape)
