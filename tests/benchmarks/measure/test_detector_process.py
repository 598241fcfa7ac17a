"""Whatever a detector does in its child reaches the parent as one error, in bounded time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from facebench.benchmarks.measure.detector_process import DetectorProcess, Limits
from facebench.errors import DetectorRaisedError, WorkerDiedError, WorkerMemoryError, WorkerTimeoutError

pytestmark = pytest.mark.usefixtures("hostile")
IMAGE = np.full((120, 160, 3), 7, np.uint8)
LIMITS = Limits(memory_mb=512)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("Raises", DetectorRaisedError, "RuntimeError: the cascade of doom"),
        ("Quits", DetectorRaisedError, "SystemExit: gone home"),
        ("Aborts", WorkerDiedError, "SIGABRT.*Fatal Python error"),
        ("Hangs", WorkerTimeoutError, "no answer within 1 s"),
        ("EatsMemory", WorkerMemoryError, "the limit is 512 MB"),
        ("ReturnsNan", DetectorRaisedError, "ContractError: boxes must be finite"),
        ("ReturnsList", DetectorRaisedError, "must return facebench.Detections, got list"),
        ("WritesIntoImage", DetectorRaisedError, "read-only"),
    ],
)
def test_a_hostile_image_is_one_error(tmp_path, name, error, words):
    limits = replace(LIMITS, image_s=1) if error is WorkerTimeoutError else LIMITS
    with DetectorProcess(f"hostile_detectors:{name}", limits=limits, log=tmp_path / "log") as child:
        child.start()
        with pytest.raises(error, match=words):
            child.detect(IMAGE)
        # an exception leaves the child alive, everything else ends it
        assert child.running == (error is DetectorRaisedError)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("hostile_detectors:CannotLoad", "OSError: no such weights"),
        ("hostile_detectors:LiesAboutDevice", "asked for cpu, but the detector runs on cuda"),
        ("hostile_detectors:Absent", "has no attribute 'Absent'"),
    ],
)
def test_a_detector_that_cannot_be_loaded_says_why(tmp_path, spec, words):
    with DetectorProcess(spec, limits=LIMITS, log=tmp_path / "log") as child:
        with pytest.raises(DetectorRaisedError, match=words):
            child.start()
        assert not child.running


def test_images_of_all_sizes_arrive_whole_through_growing_shared_memory():
    with DetectorProcess("hostile_detectors:Good", limits=LIMITS) as child:
        child.start()
        for height, width in [(1, 1), (120, 160), (1200, 1600), (30, 2000), (2, 3)]:
            answer = child.detect(np.zeros((height, width, 3), np.uint8))
            expected = np.array([[width / 4, height / 4, width / 2, height / 2]], np.float32)
            np.testing.assert_array_equal(answer.detections.boxes, expected)
            assert answer.detect_ms > 0
            assert answer.peak_rss_mb > 10


def test_non_contiguous_images_arrive_whole():
    with DetectorProcess("haar", limits=LIMITS) as child:
        child.start()
        image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
        turned = child.detect(image[:, ::-1]).detections
        copied = child.detect(image[:, ::-1].copy()).detections
        np.testing.assert_array_equal(turned.boxes, copied.boxes)


def test_the_child_is_pinned_before_imports_and_cannot_write_or_download():
    with DetectorProcess("hostile_detectors:TellsItsWorld", limits=LIMITS, threads=1) as child:
        start = child.start()
        boxes = child.detect(IMAGE).detections.boxes
    assert boxes[0].tolist() == [0, 0, 1, 1], "one core and one OpenMP thread"
    assert boxes[1].tolist() == [0, 0, 1, 0], "offline, and a read-only image"
    assert start.library_threads["cores"] == 1


def test_start_reports_what_the_libraries_say():
    with DetectorProcess("haar", limits=LIMITS) as child:
        start = child.start()
    assert (start.device_used, start.threads_used, start.library_threads["cv2"]) == ("cpu", 1, 1)
    assert min(start.spawn_s, start.import_s, start.load_s) > 0


def test_a_dead_child_can_be_started_again(tmp_path):
    spec = f"hostile_detectors:DiesOnce:mark={tmp_path / 'mark'}"
    with DetectorProcess(spec, limits=LIMITS, log=tmp_path / "log") as child:
        child.start()
        with pytest.raises(WorkerDiedError):
            child.detect(IMAGE)
        child.start()
        assert len(child.detect(IMAGE).detections) == 1


def test_boxes_come_back_in_the_pixels_of_the_original():
    with DetectorProcess("hostile_detectors:Good", limits=LIMITS, size="long=64") as child:
        child.start()
        boxes = child.detect(np.zeros((300, 400, 3), np.uint8)).detections.boxes
    np.testing.assert_allclose(boxes, [[100, 75, 200, 150]], rtol=1e-5)


def test_nothing_is_left_behind(tmp_path):
    import psutil

    before = set(psutil.Process().children(recursive=True))
    with DetectorProcess("hostile_detectors:Hangs", limits=LIMITS, log=tmp_path / "log") as child:
        child.start()
        children = set(psutil.Process().children(recursive=True)) - before
        assert children
    assert not [process for process in children if process.is_running()]
