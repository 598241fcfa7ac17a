"""What is believed of a child's messages: each is checked whole before anything of it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....detectors import Detections
from ....errors import ContractError, DetectorRaisedError, ResultsError, WorkerMessageError
from ...store.records import Start
from .messages import Message

_LONGEST_REASON = 1000
"""Characters."""
_LARGEST = 1e15
"""Of all that is measured in milliseconds and megabytes."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result for one image.

    Attributes:
        detections: what was found.
        detect_ms: wall time of the whole `detect` call, milliseconds.
        cpu_ms: processor time of all threads of the child during the call.
        stages_ms: pre, inference and post, where the adapter can tell.
        peak_rss_mb: the largest resident memory so far, of the child or of it and all that it started.
        device_memory_mb: its largest device memory so far, where the library can tell.
        queued_ms: how long its threads could have run during the call and had no core; nan where the system does not
            tell. A detector that waits for something else does not queue.
    """

    detections: Detections
    detect_ms: float
    cpu_ms: float
    stages_ms: tuple[float, float, float] | None
    peak_rss_mb: float
    device_memory_mb: float | None
    queued_ms: float = math.nan


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The result for the images of one batch.

    Attributes:
        detections: of each image, without landmarks.
        batch_ms: wall time of the whole `detect_batch` call, milliseconds.
        together: whether the detector runs images together, see `Detector.batches`.
        peak_rss_mb: as of `Answer`.
        device_memory_mb: as of `Answer`.
    """

    detections: list[Detections]
    batch_ms: float
    together: bool
    peak_rss_mb: float
    device_memory_mb: float | None


@dataclass(frozen=True, slots=True)
class Check:
    """What a warm child looks like.

    Attributes:
        library_threads: as in `Start`.
        problems: sentences about what makes its times invalid: more threads than asked for, work that goes on after
            `detect` has returned. Empty for an honest detector.
    """

    library_threads: dict[str, int]
    problems: list[str]


def expect(message: Message, kind: str) -> Message:
    """Return a message that is of this kind.

    Raises:
        DetectorRaisedError: the detector raised.
        WorkerMessageError: it is of another kind.
    """
    if message.kind == "raised":
        raise DetectorRaisedError(reason(message.fields.get("reason")))
    if message.kind != kind:
        raise WorkerMessageError(f"the child sent {message.kind[:40]!r} where {kind!r} was expected")
    return message


def read_start(message: Message, spawn_s: float) -> Start:
    """Return what a loaded child says of itself.

    Raises:
        WorkerMessageError: it does not say all of it, or a value cannot be.
    """
    try:
        start = Start.from_json({**message.fields, "spawn_s": spawn_s})
    except ResultsError as error:
        raise WorkerMessageError(f"the child told of its start what cannot be: {error}") from None
    seconds = (start.import_s, start.load_s)
    thresholds = (start.operating_threshold, start.score_floor)
    if not all(map(math.isfinite, thresholds)) or not all(one is not None and 0 <= one < math.inf for one in seconds):
        raise WorkerMessageError(f"the child told of its start what cannot be: {seconds} s, thresholds {thresholds}")
    return start


def read_answer(message: Message, round_trip_ms: float) -> Answer:
    """Return the answer to one image.

    Args:
        message: of the kind "found".
        round_trip_ms: how long the answer took; the call inside it cannot have taken longer.

    Raises:
        DetectorRaisedError: the detections are not what the contract says; the child lives on.
        WorkerMessageError: what was measured cannot be.
    """
    told = message.fields
    detect_ms, cpu_ms, peak_rss_mb = (_number(told, name) for name in ("detect_ms", "cpu_ms", "peak_rss_mb"))
    if detect_ms > round_trip_ms:
        raise WorkerMessageError(f"the child told of {detect_ms:g} ms in a round trip of {round_trip_ms:g} ms")
    stages = told.get("stages_ms")
    if stages is not None:
        if not isinstance(stages, list) or len(stages) != 3:
            raise WorkerMessageError(f"the child told stages_ms={str(stages)[:60]}, expected three numbers")
        pre, inference, post = (_number({"stages_ms": one}, "stages_ms") for one in stages)
        stages = pre, inference, post
    memory = _device_memory(told)
    queued = told.get("queued_ms")
    queued_ms = math.nan if isinstance(queued, float) and math.isnan(queued) else _number(told, "queued_ms")
    try:
        boxes, scores = message.arrays["boxes"], message.arrays["scores"]
        found = Detections(boxes, scores, message.arrays.get("landmarks"))
    except KeyError as error:
        raise WorkerMessageError(f"the child sent no {error.args[0]}") from None
    except ContractError as error:
        raise DetectorRaisedError(reason(f"ContractError: {error}")) from None
    return Answer(found, detect_ms, cpu_ms, stages, peak_rss_mb, memory, queued_ms)


def read_batch_answer(message: Message, images: int, round_trip_ms: float) -> BatchAnswer:
    """Return the answer to a batch.

    Args:
        message: of the kind "found together".
        images: how many it has.
        round_trip_ms: as for `read_answer`.

    Raises:
        DetectorRaisedError: the detections are not what the contract says; the child lives on.
        WorkerMessageError: what was measured cannot be, or there is not one answer for each image.
    """
    told = message.fields
    batch_ms, peak_rss_mb = (_number(told, name) for name in ("batch_ms", "peak_rss_mb"))
    if batch_ms > round_trip_ms:
        raise WorkerMessageError(f"the child told of {batch_ms:g} ms in a round trip of {round_trip_ms:g} ms")
    counts, boxes, scores = told.get("counts"), message.arrays.get("boxes"), message.arrays.get("scores")
    if boxes is None or scores is None or not isinstance(counts, list) or len(counts) != images:
        raise WorkerMessageError(f"the child sent no answer for each of {images} images")
    if not all(type(count) is int and count >= 0 for count in counts) or not sum(counts) == len(boxes) == len(scores):
        raise WorkerMessageError(f"the child told of {str(counts)[:60]} boxes, and sent {len(boxes)} and {len(scores)}")
    ends = np.cumsum(counts)[:-1]
    parts = zip(np.split(boxes, ends), np.split(scores, ends), strict=True)
    try:
        found = [Detections(*part) for part in parts]
    except ContractError as error:
        raise DetectorRaisedError(reason(f"ContractError: {error}")) from None
    return BatchAnswer(found, batch_ms, told.get("together") is True, peak_rss_mb, _device_memory(told))


def read_check(message: Message) -> Check:
    """Return what a warm child looks like.

    Raises:
        WorkerMessageError: it does not say so.
    """
    threads, problems = message.fields.get("library_threads"), message.fields.get("problems")
    if not isinstance(threads, dict) or not all(type(count) is int for count in threads.values()):
        raise WorkerMessageError(f"the child told library_threads={str(threads)[:60]}, expected numbers")
    if not isinstance(problems, list) or not all(isinstance(one, str) for one in problems):
        raise WorkerMessageError(f"the child told problems={str(problems)[:60]}, expected sentences")
    return Check(threads, [reason(one) for one in problems])


def reason(text: object) -> str:
    """Return what a child says went wrong, bounded, and text that every file can hold."""
    words = str(text)
    words = words if len(words) <= _LONGEST_REASON else words[:_LONGEST_REASON] + "…"
    return words.encode("utf-8", "replace").decode()


def _device_memory(told: Mapping[str, Any]) -> float | None:
    return None if told.get("device_memory_mb") is None else _number(told, "device_memory_mb")


def _number(told: Mapping[str, Any], name: str) -> float:
    value = told.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _LARGEST:
        raise WorkerMessageError(f"the child told {name}={str(value)[:60]}, expected a number from 0 on")
    return float(value)
