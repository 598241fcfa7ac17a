"""Detectors that misbehave, each in one way, and one that does not; loaded in children as `hostile_detectors:Name`."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from facebench import Detections, Detector, DetectorInfo

INFO = DetectorInfo(
    name="hostile",
    family="test",
    package="none",
    licence="MIT",
    score_kind="probability",
    devices=("cpu",),
    landmarks=False,
    trained_on=(),
    reference="tests",
    operating_threshold=0.5,
    score_floor=0.5,
)


class Good(Detector):
    """Returns one box in the middle of every image."""

    info = INFO

    def detect(self, image):
        height, width = image.shape[:2]
        return Detections.from_arrays([[width / 4, height / 4, width / 2, height / 2]], [0.9])


class Floored(Good):
    """Has boxes below its threshold too, for curves; at a floor it returns what lies above that."""

    info = replace(INFO, score_floor=0.1)

    def detect(self, image):
        scores = np.array([0.9, 0.5, 0.3, 0.1], np.float32)
        height, width = image.shape[:2]
        boxes = np.array([[40, 30, 80, 60], [0, 0, 8, 8], [16, 0, 24, 8], [32, 0, 40, 8]], np.float32)
        boxes *= np.array([width / 160, height / 120] * 2, np.float32)
        keep = scores >= np.float32(self.score_floor)
        return Detections.from_arrays(boxes[keep], scores[keep])


class ForgetsBelow(Floored):
    """Finds other boxes when it is given a higher floor, as weighted suppression does."""

    def detect(self, image):
        found = super().detect(image)
        return Detections(found.boxes + np.float32(self.score_floor), found.scores)


class Nothing(Good):
    def detect(self, image):
        return Detections.empty()


class Raises(Good):
    def detect(self, image):
        raise RuntimeError("the cascade of doom")


class Quits(Good):
    def detect(self, image):
        raise SystemExit("gone home")


class Aborts(Good):
    def detect(self, image):
        os.abort()


class Hangs(Good):
    def detect(self, image):
        while True:
            time.sleep(3600)


class EatsMemory(Good):
    """Takes 1 GB and keeps it until somebody notices."""

    def detect(self, image):
        hoard = [np.ones(2**24) for _ in range(8)]
        while hoard:
            time.sleep(3600)


class ReturnsNan(Good):
    def detect(self, image):
        return Detections.from_arrays([[0, 0, np.nan, 5]], [0.5])


class ReturnsList(Good):
    def detect(self, image):
        return [(1, 2, 3, 4)]


class CannotLoad(Good):
    def __init__(self, **options):
        super().__init__(**options)
        raise OSError("no such weights")


class LiesAboutDevice(Good):
    def device_used(self):
        return "cuda"


class WritesIntoImage(Good):
    def detect(self, image):
        image[:] = 0
        return super().detect(image)


class DiesOnce(Good):
    """Aborts at the first image of its life, as told by a file that it leaves, and works in its second life."""

    def __init__(self, *, mark: str = "", device="cpu", threads=1, score_floor=None):
        super().__init__(device=device, threads=threads, score_floor=score_floor)
        self._mark = Path(mark)

    def detect(self, image):
        if not self._mark.exists():
            self._mark.touch()
            os.abort()
        return super().detect(image)


class DiesOnWide(Good):
    """Aborts on every image that is wider than 200 pixels."""

    def detect(self, image):
        if image.shape[1] > 200:
            os.abort()
        return super().detect(image)


class TellsItsWorld(Good):
    """Returns what it sees of its process as box coordinates: cores, OMP threads, offline switch, writable image."""

    def detect(self, image):
        cores = len(os.sched_getaffinity(0))
        omp, offline = int(os.environ["OMP_NUM_THREADS"]), int(os.environ["FACEBENCH_OFFLINE"])
        return Detections.from_arrays([[0, 0, cores, omp], [0, 0, offline, float(image.flags.writeable)]], [0.9, 0.8])


class ChangesThreadsOnImport(Good):
    """Sets OpenCV's threads while it is built, as some packages do when they are imported."""

    def __init__(self, **options):
        import cv2

        super().__init__(**options)
        cv2.setNumThreads(7)


class ChangesThreadsInDetect(Good):
    """Sets OpenCV's threads in every call, so that putting them back after loading does not help."""

    def detect(self, image):
        import cv2

        cv2.setNumThreads(7)
        return super().detect(image)


class FinishesLater(Good):
    """Returns at once and lets a thread do the work: its time would be invalid."""

    def detect(self, image):
        found = super().detect(image)
        found.boxes.setflags(write=True)
        threading.Thread(target=self._work, args=(found.boxes,), daemon=True).start()
        return found

    def _work(self, boxes):
        while True:  # so that a machine that is busy with something else does not hide it
            boxes[:, 2:] += 0.001
            time.sleep(0.001)


class DiffersByProcess(Good):
    """Returns another box in every process."""

    def detect(self, image):
        side = 10 + os.getpid() % 1000
        return Detections.from_arrays([[0, 0, side, side]], [0.9])


class Stages(Good):
    """Tells its stages."""

    def detect(self, image):
        self.clock.inference()
        time.sleep(0.002)
        self.clock.post()
        return super().detect(image)


class WithoutItsBase(Good):
    """Does without the constructor of Detector."""

    def __init__(self, *, device="cpu", threads=1, score_floor=None):
        self.device, self.threads = device, threads
        self.operating_threshold = self.score_floor = 0.5


class AbortsOnThird(Good):
    """Aborts on the image whose grey is 3."""

    def detect(self, image):
        if int(image[0, 0, 0]) == 3:
            os.abort()
        return super().detect(image)
