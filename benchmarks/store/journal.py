"""The growing file of a cell while it runs: one JSON line an event, so that a crash costs the last line at most."""

from __future__ import annotations

import base64
import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from itertools import count
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ...detectors import Detections
from ...errors import DamagedJournalError, FacebenchError, ResultsError
from .inside import regular
from .journal_lines import LONGEST_LINE, checked_line, has_checksum, parse
from .records import Start, check_amount, check_time

_WRONG = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, FacebenchError)
"""What reading a line raises that says something else than facebench writes."""


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

    Raises:
        ContractError: a time or the number of pixels is none, or absurd.
    """

    image_id: str
    detections: Detections
    detect_ms: float
    pixels: int
    cpu_ms: float = math.nan
    stages_ms: tuple[float, float, float] | None = None
    queued_ms: float = math.nan

    def __post_init__(self) -> None:
        check_amount("pixels", self.pixels)
        _check_call(self)


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

    Raises:
        ContractError: as `ImageRecord`.
    """

    round: int
    image_id: str
    detect_ms: float
    cpu_ms: float
    stages_ms: tuple[float, float, float] | None
    detections: int
    same: bool
    queued_ms: float = math.nan

    def __post_init__(self) -> None:
        check_amount("the round", self.round)
        check_amount("the number of detections", self.detections)
        _check_call(self)


def _check_call(call: ImageRecord | Repeat) -> None:
    for name in ("detect_ms", "cpu_ms", "queued_ms"):
        check_time(name, getattr(call, name))
    for stage in call.stages_ms or ():
        check_time("stages_ms", stage)


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
            DamagedJournalError: a line of it is damaged; the content may hold what stands before.
        """
        found = content or JournalContent()
        self._open(lambda _, event: _collect(found, event))
        return found

    def open_index(self) -> tuple[JournalContent, dict[str, int]]:
        """Open like `open`, but keep of a finished image only where its line begins; see `read`.

        Returns:
            The content without its records, and image_id -> place.

        Raises:
            ResultsError: as `open`.
        """
        content, places = JournalContent(), dict[str, int]()

        def take(place: int, event: dict[str, Any]) -> None:
            if event["event"] == "picture":
                places[_text(event["image_id"])] = place
                self._see_landmarks(event)
                _collect_memory(content, event)
            else:
                _collect(content, event)

        self._open(take)
        return content, places

    def read(self, places: Iterable[int]) -> Iterator[ImageRecord]:
        """Read finished images back, one at a time.

        Args:
            places: where their lines begin.

        Raises:
            ResultsError: the file cannot be read, or was changed by somebody else.
        """
        try:
            with open(self._path, "rb", opener=regular) as file:
                for place in places:
                    file.seek(place)
                    try:
                        record = _record(parse(file.readline(LONGEST_LINE), checked=False))
                    except _WRONG as error:
                        raise ResultsError(
                            f"{self._path} is damaged {place:,} bytes from its beginning, or was changed while it was "
                            f"in use: {_why(error)}; run again into another --out"
                        ) from error
                    yield record
        except OSError as error:
            raise ResultsError(f"cannot read {self._path}: {error.strerror or error}") from error

    def _open(self, take: Callable[[int, dict[str, Any]], None]) -> None:
        """Hand on where each whole line begins and what it says; cut off what follows and open for appending."""
        whole = 0
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                with open(self._path, "rb", opener=regular) as file:
                    whole = self._take_lines(file, take)
            # without a buffer: what a full disk refused must not be tried again when the file is closed
            self._file = open(self._path, "ab", buffering=0, opener=regular)  # noqa: SIM115
            self._file.truncate(whole)
            self._file.seek(whole)
        except OSError as error:
            raise ResultsError(f"cannot open {self._path}: {error.strerror or error}") from error

    def _take_lines(self, file: IO[bytes], take: Callable[[int, dict[str, Any]], None]) -> int:
        """Return where the whole lines end."""
        whole, checked = 0, False
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
            if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
                break
            try:
                event = parse(line, checked=checked)
                checked = checked or has_checksum(event)
                take(whole, event)
            except _WRONG as error:
                raise DamagedJournalError(f"{self._path} is damaged in line {number:,}: {_why(error)}") from error
            whole += len(line)
        return whole

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

    def move_away(self) -> Path:
        """Keep a damaged file under a name that says so, which nothing reads, and return that; the journal is empty.

        Raises:
            ResultsError: the folder cannot be written to.
        """
        self.close()
        self.landmarks_seen = False
        names = (self._path.with_name(f"{self._path.stem}-damaged-{number}.jsonl") for number in count(1))
        aside = next(path for path in names if not os.path.lexists(path))
        try:
            return self._path.rename(aside)
        except OSError as error:
            raise ResultsError(f"cannot rename {self._path} to {aside.name}: {error.strerror or error}") from error

    def _append(self, event: dict[str, Any]) -> int:
        """Write one line; return where it begins."""
        assert self._file is not None, "open() comes first"
        try:
            place = self._file.tell()
            line = memoryview(checked_line(event))
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise ResultsError(
                f"cannot write {self._path}: {error.strerror or error}. What was measured before is kept; "
                "free some space and run the same command again"
            ) from error
        return place


def _why(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def _collect(content: JournalContent, event: dict[str, Any]) -> None:
    kind = event["event"]
    if kind == "picture":
        record = _record(event)
        content.records[record.image_id] = record
        _collect_memory(content, event)
    elif kind == "repeat":
        names = [field.name for field in dataclasses.fields(Repeat)]
        given = {name: event[name] for name in names if name in event}
        content.repeats.append(Repeat(**{**given, "image_id": _text(event["image_id"]), "stages_ms": _stages(event)}))
    elif kind == "start":
        content.starts.append(Start.from_json(event))
    elif kind == "death":
        content.deaths.setdefault(_text(event["image_id"]), []).append(_text(event["reason"]))
    elif kind == "put_aside":
        content.skipped[_text(event["image_id"])] = _text(event["reason"])
    else:
        raise ValueError(f"got the event {kind!r}")


def _collect_memory(content: JournalContent, event: Mapping[str, Any]) -> None:
    memory = event["peak_rss_mb"], event.get("device_memory_mb")
    for one in memory:
        check_amount("memory", 0.0 if one is None else one)
    content.see_memory(*memory)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"got {value!r:.60}, expected text")
    return value


def _record(event: Mapping[str, Any]) -> ImageRecord:
    landmarks = event["landmarks"]
    detections = Detections(
        _decode(event["boxes"], (-1, 4)),
        _decode(event["scores"], (-1,)),
        None if landmarks is None else _decode(landmarks, (-1, 5, 2)),
    )
    return ImageRecord(
        _text(event["image_id"]),
        detections,
        event["detect_ms"],
        event["pixels"],
        event.get("cpu_ms", math.nan),
        _stages(event),
        event.get("queued_ms", math.nan),
    )


def _stages(event: Mapping[str, Any]) -> tuple[float, float, float] | None:
    stages = event.get("stages_ms")
    if stages is None:
        return None
    pre, inference, post = stages
    return pre, inference, post


def _encode(array: NDArray[np.float32]) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")


def _decode(text: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4").astype(np.float32).reshape(shape)
