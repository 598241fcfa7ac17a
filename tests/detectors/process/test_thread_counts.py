"""Thread counts told by OpenCV itself, and by placeholders for libraries that this process does not load."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from types import SimpleNamespace

import cv2
import pytest
from facebench.detectors.process import thread_counts
from facebench.detectors.process.thread_counts import exceeding, limit, read_back


class FakeTorch:
    """Keeps numbers as torch does."""

    def __init__(self, threads: int, interop: int = 8) -> None:
        self.threads, self.interop = threads, interop

    def get_num_threads(self) -> int:
        return self.threads

    def get_num_interop_threads(self) -> int:
        return self.interop

    def set_num_threads(self, threads: int) -> None:
        self.threads = threads


def fake_tensorflow(within: int, between: int) -> SimpleNamespace:
    threading = SimpleNamespace(
        get_intra_op_parallelism_threads=lambda: within, get_inter_op_parallelism_threads=lambda: between
    )
    return SimpleNamespace(config=SimpleNamespace(threading=threading))


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "tensorflow"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("threads", [1, 3])
def test_opencv_tells_its_number(threads: int) -> None:
    cv2.setNumThreads(threads)
    assert read_back()["cv2"] == threads


def test_every_library_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.setNumThreads(2)
    monkeypatch.setitem(sys.modules, "torch", FakeTorch(3))
    monkeypatch.setitem(sys.modules, "tensorflow", fake_tensorflow(0, 5))
    monkeypatch.setattr(thread_counts, "_native_pools", lambda: [("libgomp", 6), ("libopenblas", 9), ("libgomp", 4)])
    assert read_back() == {
        "cv2": 2,
        "torch": 3,
        "torch_interop": 8,
        "tensorflow": 0,
        "tensorflow_interop": 5,
        "libgomp": 6,
        "libopenblas": 9,
        "cores": len(os.sched_getaffinity(0)),
    }


def child(code: str, **environment: str) -> dict[str, int]:
    script = f"from facebench.detectors.process.thread_counts import read_back\n{code}\nprint(read_back())"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    found = ast.literal_eval(run.stdout)
    assert isinstance(found, dict)
    return found


def test_nothing_is_imported_for_the_answer() -> None:
    assert not {"cv2", "torch", "tensorflow"} & set(child(""))


def test_a_blas_pool_follows_the_environment() -> None:
    """NumPy's wheel gives OpenBLAS, whose number is set before the import."""
    pools = child("import numpy", OPENBLAS_NUM_THREADS="1")
    assert [threads for name, threads in pools.items() if "openblas" in name] == [1]


def test_cores_are_those_that_the_process_may_run_on() -> None:
    assert child("import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])")["cores"] == 1


@pytest.mark.parametrize(
    ("opencv", "torch", "threads", "changed"),
    [
        (1, 1, 1, {}),
        (1, 1, 2, {}),
        (4, 1, 1, {"cv2": (4, 1)}),
        (1, 4, 2, {"torch": (4, 2)}),
        (3, 4, 2, {"cv2": (3, 2), "torch": (4, 2)}),
    ],
)
def test_limit(
    opencv: int, torch: int, threads: int, changed: dict[str, tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.setNumThreads(opencv)
    fake = FakeTorch(torch)
    monkeypatch.setitem(sys.modules, "torch", fake)
    assert limit(threads) == changed
    assert (cv2.getNumThreads(), fake.threads) == (min(opencv, threads), min(torch, threads))
    assert limit(threads) == {}


def test_limit_without_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cv2")
    assert limit(1) == {}


@pytest.mark.parametrize(
    ("counts", "threads", "sentences"),
    [
        ({}, 1, []),
        ({"cv2": 1, "torch": 1, "torch_interop": 8, "cores": 8}, 1, []),
        ({"cv2": 2, "cores": 8}, 2, []),
        ({"cv2": 4, "cores": 1}, 1, ["cv2 would use 4 threads, allowed 1"]),
        ({"tensorflow": 0, "tensorflow_interop": 0, "cores": 8}, 1, []),
        ({"tensorflow": 3, "cores": 8}, 2, ["tensorflow would use 3 threads, allowed 2"]),
        ({"tensorflow_interop": 3, "cores": 8}, 2, ["tensorflow_interop would use 3 threads, allowed 2"]),
        (
            {"libgomp": 3, "libopenblas": 4, "cores": 8},
            2,
            ["libgomp would use 3 threads, allowed 2", "libopenblas would use 4 threads, allowed 2"],
        ),
    ],
)
def test_exceeding(counts: dict[str, int], threads: int, sentences: list[str]) -> None:
    assert exceeding(counts, threads) == sentences
