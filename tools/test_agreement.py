"""The latency that facebench reports, against a bare loop over the same images.

The bare loop calls the library as its documentation shows (`bare_loops.py`). Each round starts a fresh process of both,
and every image goes to them in turn (A B B A), so that a drift of the machine is shared by both. A ratio below 1 says
that the adapter is faster than the plain code.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from facebench.benchmarks.measure.detector_process import DetectorProcess
from facebench.benchmarks.measure.environment import usable_cores
from facebench.benchmarks.timing.change import latency_change
from facebench.datasets import decode, load
from facebench.detectors import resolve
from facebench.detectors.models import store as model_store

if TYPE_CHECKING:
    from facebench.detectors import RGBImage

ROUNDS = 5
IMAGES = 12
AGREED = 0.03
MODELS = {"haar": "", "yunet": "yunet", "retinaface-onnx": "retinaface-onnx", "mtcnn": ""}


@pytest.fixture(scope="module")
def images(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[RGBImage], Path]:
    """The same images in memory and in a file for the bare loop."""
    wider = pytestconfig.getoption("--wider")
    dataset = load(f"wider-face:val?sample={IMAGES}&seed=0", root=wider) if wider else load("scenes?count=6")
    images = [image for sample in dataset.samples if (image := decode(sample.source).image) is not None]
    file = tmp_path_factory.mktemp("bare") / "pictures.npz"
    np.savez(file, *images)
    return images, file


class BareLoop:
    """A bare loop that waits for its turns."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        for line in self._out:
            if line.strip() == "ready":
                return self
        raise RuntimeError(f"the bare loop ended with {self._process.wait()} before it was ready")

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def call(self, place: int) -> tuple[float, int]:
        """Return milliseconds and number of faces of one call."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{place}\n")
        self._process.stdin.flush()
        told = json.loads(self._out.readline())
        return float(told["ms"]), int(told["faces"])


@pytest.mark.benchmark(group="agreement with bare loops")
@pytest.mark.parametrize("name", MODELS)
def test_agreement(name: str, measured: tuple[list[RGBImage], Path], benchmark: Any, say: list[str]) -> None:
    spec = resolve(name)
    missing = spec.missing()
    if missing is not None:
        pytest.skip(f"{missing}; to fix: {missing.remedy}")
    images, file = measured
    model = [str(model_store.fetch(MODELS[name]))] if MODELS[name] else []
    command = [sys.executable, str(Path(__file__).with_name("bare_loops.py")), name, str(file), "1"]
    command += [str(usable_cores()[-1]), *model]
    floor = spec.adapter.info.score_floor
    ms = np.empty((2, ROUNDS, len(images)))

    def one_round(number: int) -> None:
        with BareLoop(command) as bare, DetectorProcess(name, score_floor=floor) as child:
            child.start()
            for _ in range(4):
                child.detect(images[0])
            for place, image in enumerate(images):
                logs = np.zeros(2)
                turns = (0, 1, 1, 0) if (number + place) % 2 else (1, 0, 0, 1)
                faces = set()
                for side in turns:
                    if side == 0:
                        spent, count = bare.call(place)
                    else:
                        answer = child.detect(image)
                        spent, count = answer.detect_ms, len(answer.detections)
                    logs[side] += np.log(spent) / 2
                    faces.add(count)
                assert len(faces) == 1, "the bare loop does other work"
                ms[:, number, place] = np.exp(logs)

    numbers = itertools.cycle(range(ROUNDS))
    benchmark.pedantic(lambda: one_round(next(numbers)), rounds=ROUNDS)
    if benchmark.disabled:
        return
    ratio = latency_change(ms[0], ms[1], paired=True).median.ratio
    benchmark.extra_info |= {"facebench_over_bare_loop": [ratio.value, ratio.low, ratio.high], "pictures": len(images)}
    agrees = "agrees" if abs(ratio.value - 1) <= AGREED else f"DIFFERS by more than {AGREED:.0%}"
    say.append(f"{name}: {ratio.value:.3f} times the bare loop (95 %: {ratio.low:.3f} to {ratio.high:.3f}): {agrees}")
    # a busy machine must not fail this; a factor would mean that something else is measured
    assert 0.5 < ratio.value < 2
