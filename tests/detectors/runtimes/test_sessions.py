"""The runtimes for ONNX graphs: the same boxes at fp32, what was asked for or an error, any sizes, any batch."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from facebench.detectors import RGBImage, create, resolve
from facebench.detectors.probe_images import portrait
from facebench.detectors.runtimes import OnnxNetwork, open_session
from facebench.detectors.runtimes.graphs import with_sizes
from facebench.detectors.runtimes.sessions import RUNTIMES
from facebench.errors import DeviceError, UsageError
from facebench.tests.support.kinds import Available

ON_GRAPHS = ("yunet", "retinaface-onnx", "centerface", "scrfd")
ON_CPU = [runtime for runtime, card in RUNTIMES.items() if "cpu" in card.precisions]


def graph(seed: int = 0) -> bytes:
    """A convolution over images of any size, as exporters write it: with the sizes of one image, one in a batch."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed).normal(size=(4, 3, 3, 3)).astype(np.float32)
    shape = np.array([1, -1, 4])
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["features"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("Transpose", ["features"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "shape"], ["rows"]),
    ]
    value = helper.make_tensor_value_info
    made = helper.make_graph(
        nodes,
        "net",
        [value("images", TensorProto.FLOAT, [1, 3, 32, 64])],
        [value("rows", TensorProto.FLOAT, [1, 2048, 4])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(shape, "shape")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    serialised: bytes = model.SerializeToString()
    return serialised


def images() -> list[RGBImage]:
    """A face at several sizes, none a multiple of 32."""
    face = portrait()
    return [face, face[:301, :277], face[30:220, 130:320], face[40:341, 100:377], face[:40, :50]]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ON_CPU)
@pytest.mark.parametrize("name", ON_GRAPHS)
def test_boxes_do_not_depend_on_the_runtime(name: str, runtime: str, available: Available) -> None:
    spec = f"{name}:runtime={runtime}"
    available(spec)
    found = 0
    one, other = create(name, score_floor=0.02), create(spec, score_floor=0.02)
    for image in images():
        expected, got = one.detect(image), other.detect(image)
        assert len(got) == len(expected)
        np.testing.assert_allclose(got.scores, expected.scores, rtol=0, atol=1e-3)
        np.testing.assert_allclose(got.boxes, expected.boxes, rtol=0, atol=0.5)
        found += len(got)
    assert found > 4
    assert (other.device_used(), other.precision_used()) == ("cpu", "fp32")


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ON_CPU)
@pytest.mark.parametrize("name", ON_GRAPHS)
def test_a_batch_gives_what_its_images_give(name: str, runtime: str, available: Available) -> None:
    spec = f"{name}:runtime={runtime}"
    available(spec)
    detector = create(spec, score_floor=0.02)
    given = [*images(), portrait()[:, ::-1]]
    for alone, together in zip(map(detector.detect, given), detector.detect_batch(given), strict=True):
        assert len(alone) == len(together)
        np.testing.assert_allclose(together.scores, alone.scores, rtol=0, atol=1e-3)
        np.testing.assert_allclose(together.boxes, alone.boxes, rtol=0, atol=0.5)


@pytest.mark.parametrize("runtime", ON_CPU)
def test_a_session_takes_any_size_and_any_number(runtime: Any, available: Available) -> None:
    available(f"yunet:runtime={runtime}")
    from facebench.detectors.runtimes import with_free_sizes

    session = open_session(OnnxNetwork(with_free_sizes(graph()), "images", ("rows",), threads=1), runtime)
    rng = np.random.default_rng(1)
    for count, height, width in [(1, 32, 64), (2, 64, 32), (1, 96, 32), (1, 32, 64)]:
        batch = rng.random((count, 3, height, width), dtype=np.float32)
        (rows,) = session.run(batch)
        assert rows.shape == (count, height * width, 4)
        for one, whole in zip(batch, np.array(rows), strict=True):
            np.testing.assert_allclose(session.run(one[None])[0][0], whole, rtol=0, atol=1e-4)
    assert session.device() == "cpu"


def test_a_graph_keeps_its_sizes_until_they_are_freed() -> None:
    import onnxruntime

    fixed = with_sizes(graph(), (1, 3, 32, 64))
    session = onnxruntime.InferenceSession(fixed, providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match=r"(?i)invalid dimensions"):
        session.run(None, {"images": np.zeros((1, 3, 64, 64), np.float32)})


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("yunet:runtime=onnxruntime,precision=bf16", r"onnxruntime has no precision bf16, expected .* on cpu; .*cuda"),
        ("yunet:runtime=opencv,precision=fp16", "opencv has no precision fp16, expected fp32 on cpu"),
        ("centerface:runtime=tensorrt,precision=int8", "tensorrt has no precision int8"),
        ("retinaface-onnx:runtime=torch", "expected one of onnxruntime, tensorrt, openvino, opencv"),
        ("yunet:precision=half", "expected one of fp32, fp16, bf16, int8"),
    ],
)
def test_a_precision_that_a_runtime_has_not(spec: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(spec)


@pytest.mark.parametrize("runtime", ["openvino", "opencv"])
def test_a_runtime_without_cuda_says_so_before_anything_else(runtime: str) -> None:
    spec = resolve(f"yunet:runtime={runtime}")
    assert "yunet runs on cpu only" in str(spec.unfit("cuda"))
    with pytest.raises(DeviceError, match="yunet runs on cpu only"):
        spec.check_device("cuda")
    assert spec.card().devices == ("cpu",)
    assert spec.card().package == RUNTIMES[runtime].package  # type: ignore[index]


def test_tensorrt_is_for_cuda_alone() -> None:
    spec = resolve("yunet:runtime=tensorrt")
    assert "yunet runs on cuda only (onnxruntime-gpu), got 'cpu'" in str(spec.unfit("cpu"))
    with pytest.raises(DeviceError, match="tensorrt runs networks on cuda only, got 'cpu'"):
        create(spec)


@pytest.mark.parametrize(
    ("library", "runtime", "said"),
    [
        ("libonnxruntime_providers_cuda.so", "onnxruntime", ""),
        ("onnxruntime_providers_cuda.dll", "onnxruntime", ""),
        ("libonnxruntime_providers_shared.so", "onnxruntime", "no library for cuda; install onnxruntime-gpu"),
        ("libonnxruntime_providers_cuda.so", "tensorrt", "no library for tensorrt"),
        ("libonnxruntime_providers_tensorrt.so", "tensorrt", ""),
    ],
)
def test_a_build_of_onnx_runtime_is_known_by_its_files(
    library: str, runtime: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / library).touch()
    installed = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: installed)
    spec = resolve(f"yunet:runtime={runtime}")
    with pytest.raises(DeviceError, match=said) if said else nullcontext():
        spec.check_device("cuda")


def test_a_runtime_that_is_missing_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facebench.detectors.registry._is_importable", lambda module: module != "openvino")
    missing = resolve("yunet:runtime=openvino").missing()
    assert missing is not None
    assert "needs the module openvino" in str(missing)
    assert missing.remedy == "pip install 'facebench[openvino]'"
    assert resolve("yunet").unfit() is None


class _Compiled:
    """A compiled model of a processor that has no bfloat16."""

    def get_property(self, name: str) -> Any:
        return {"INFERENCE_PRECISION_HINT": type("T", (), {"to_string": lambda self: "f32"})()}[name]

    def get_runtime_model(self) -> Any:
        return type("M", (), {"get_ops": lambda self: []})()


def test_a_precision_that_the_processor_has_not_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    core = SimpleNamespace(read_model=lambda *_: None, compile_model=lambda *_: _Compiled())
    monkeypatch.setattr("facebench.detectors.runtimes.openvino_runtime._core", lambda: core)
    network = OnnxNetwork(b"", "images", ("rows",), precision="bf16")
    with pytest.raises(DeviceError, match="asked openvino for bf16, but on this processor it computes in fp32"):
        open_session(network, "openvino")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_openvino_tells_the_precision_and_stays_near(precision: str, available: Available) -> None:
    spec = f"yunet:runtime=openvino,precision={precision}"
    available(spec)
    try:
        detector = create(spec)
    except DeviceError as error:
        pytest.skip(str(error))
    assert detector.precision_used() == precision
    (face,) = detector.detect(portrait()).boxes
    np.testing.assert_allclose(face, create("yunet").detect(portrait()).boxes[0], rtol=0, atol=15)


STACKS = """
import ctypes, gc, pathlib, signal
from facebench.detectors import create

class Stack(ctypes.Structure):
    _fields_ = [("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]

made = [create("yunet:runtime=openvino") for _ in range(3)]
while made:
    del made[0]
    gc.collect()
stack = Stack()
ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
ranges = [line.split()[0].split("-") for line in pathlib.Path("/proc/self/maps").read_text().splitlines()]
mapped = any(int(low, 16) <= (stack.start or 0) < int(high, 16) for low, high in ranges)
signal.signal(signal.SIGALRM, lambda *_: print("handled"))
signal.raise_signal(signal.SIGALRM)
print("stack for signals:", "none" if not stack.start else "there" if mapped else "gone")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")
def test_a_signal_after_openvino_has_a_stack_that_is_there(available: Available) -> None:
    available("yunet:runtime=openvino")
    done = subprocess.run([sys.executable, "-c", STACKS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() in (["handled", f"stack for signals: {state}"] for state in ("there", "none"))
