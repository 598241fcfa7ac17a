"""Keras files rebuilt as ONNX: a small one of all layer kinds against loops, and the real one against Keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from facebench.detectors.models.store import locate
from facebench.detectors.runtimes.onnx_runtime import open_onnx
from facebench.emotions.pipeline.keras_mini_xception import MODEL_NAME, convert
from facebench.errors import ModelStoreError

h5py = pytest.importorskip("h5py")

ORDER = [0, 1, 2, 3, 6, 4, 5]
EPSILON = 1e-3


def layer(kind: str, name: str, *inputs: str, **config: Any) -> dict[str, Any]:
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def convolution(
    kind: str, name: str, source: str, *, strides: int = 1, padding: str = "same", bias: bool = False
) -> Any:
    return layer(kind, name, source, strides=[strides, strides], padding=padding, use_bias=bias)


LAYERS = [
    layer("InputLayer", "input"),
    convolution("Conv2D", "c1", "input", padding="valid"),
    layer("BatchNormalization", "n1", "c1", epsilon=EPSILON),
    layer("Activation", "relu", "n1", activation="relu"),
    convolution("SeparableConv2D", "s1", "relu"),
    layer("BatchNormalization", "n2", "s1", epsilon=EPSILON),
    layer("MaxPooling2D", "pool", "n2", pool_size=[3, 3], strides=[2, 2], padding="same"),
    convolution("Conv2D", "c2", "relu", strides=2),
    layer("BatchNormalization", "n3", "c2", epsilon=EPSILON),
    layer("Add", "add", "pool", "n3"),
    convolution("Conv2D", "c3", "add", bias=True),
    layer("GlobalAveragePooling2D", "mean", "c3"),
    layer("Activation", "predictions", "mean", activation="softmax"),
]
SHAPES = {
    "c1/kernel": (3, 3, 1, 4),
    "s1/depthwise_kernel": (3, 3, 4, 1),
    "s1/pointwise_kernel": (1, 1, 4, 5),
    "c2/kernel": (1, 1, 4, 5),
    "c3/kernel": (3, 3, 5, 7),
    "c3/bias": (7,),
}


def write(path: Path, layers: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Write a Keras file with random weights and return them."""
    random = np.random.default_rng(2)
    shapes = dict(SHAPES)
    for name, width in (("n1", 4), ("n2", 5), ("n3", 5)):
        shapes |= {f"{name}/{kind}": (width,) for kind in ("gamma", "beta", "moving_mean", "moving_variance")}
    weights = {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    weights |= {name: np.abs(value) + 0.2 for name, value in weights.items() if name.endswith("variance")}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": {"layers": layers}})
        for name, value in weights.items():
            part, _, kind = name.partition("/")
            file[f"model_weights/{part}/{part}_1/{kind}:0"] = value
    return weights


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: as much as is needed, the odd one at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int = 1, same: bool = True) -> np.ndarray:
    """(h, w, c) with (kh, kw, c, out), in loops over the kernel."""
    size = kernel.shape[0]
    if same:
        x = np.pad(x, [same_padding(x.shape[0], size, stride), same_padding(x.shape[1], size, stride), (0, 0)])
    out_size = (x.shape[0] - size) // stride + 1
    out = np.zeros((out_size, out_size, kernel.shape[3]))
    for y in range(size):
        for z in range(size):
            window = x[y : y + stride * out_size : stride, z : z + stride * out_size : stride][:out_size, :out_size]
            out += window @ kernel[y, z]
    return out


def pool(x: np.ndarray) -> np.ndarray:
    padding = same_padding(x.shape[0], 3, 2)
    x = np.pad(x, [padding, padding, (0, 0)], constant_values=-np.inf)
    size = (x.shape[0] - 3) // 2 + 1
    return np.stack([[x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((0, 1)) for j in range(size)] for i in range(size)])


def reference(weights: dict[str, np.ndarray], face: np.ndarray) -> np.ndarray:
    def normalise(x: np.ndarray, name: str) -> np.ndarray:
        deviation = np.sqrt(weights[f"{name}/moving_variance"] + EPSILON)
        return (x - weights[f"{name}/moving_mean"]) / deviation * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    enlarged = cv2.resize(face.astype(np.float32), (64, 64), interpolation=cv2.INTER_LINEAR)
    x = ((enlarged / 255 - 0.5) * 2)[..., None]
    x = np.maximum(normalise(convolve(x, weights["c1/kernel"], same=False), "n1"), 0)
    depthwise = np.zeros((3, 3, 4, 4))
    depthwise[:, :, range(4), range(4)] = weights["s1/depthwise_kernel"][..., 0]
    separable = convolve(convolve(x, depthwise), weights["s1/pointwise_kernel"])
    shortcut = normalise(convolve(x, weights["c2/kernel"], stride=2), "n3")
    x = pool(normalise(separable, "n2")) + shortcut
    logits = (convolve(x, weights["c3/kernel"]) + weights["c3/bias"]).mean((0, 1))
    powers = np.exp(logits - logits.max())
    return (powers / powers.sum())[ORDER]


def test_every_kind_of_layer_is_what_keras_means_by_it(tmp_path: Path) -> None:
    """Also the order of classes, and paddings that are not the same on both sides."""
    path = tmp_path / "m.hdf5"
    weights = write(path, LAYERS)
    faces = np.random.default_rng(3).integers(0, 256, (3, 48, 48)).astype(np.uint8)
    session = open_onnx(convert(path), "cpu", 1)
    got = session.run(None, {"faces": faces[:, None].astype(np.float32)})[0]
    expected = np.stack([reference(weights, face) for face in faces])
    assert np.ptp(expected, axis=1).min() > 0.01
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        pytest.param([*LAYERS[:2], layer("LSTM", "l", "c1")], "LSTM", id="an unknown layer"),
        pytest.param([*LAYERS, convolution("Conv2D", "c9", "add")], "c9", id="a layer without weights"),
        pytest.param([], "IndexError", id="no layer"),
    ],
)
def test_another_network_is_refused(tmp_path: Path, layers: list[dict[str, Any]], says: str) -> None:
    path = tmp_path / "m.hdf5"
    write(path, layers)
    with pytest.raises(ModelStoreError, match=says):
        convert(path)


@pytest.mark.parametrize("content", [None, b"", b"no HDF5"], ids=["missing", "empty", "text"])
def test_no_hdf5_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.hdf5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelStoreError, match=r"m\.hdf5"):
        convert(path)


@pytest.mark.slow
def test_the_real_file_answers_as_keras_does() -> None:
    path = locate(MODEL_NAME)
    if path is None:
        pytest.skip(f"run `facebench models fetch {MODEL_NAME}` first")
    keras = pytest.importorskip("keras")
    faces = np.random.default_rng(1).integers(0, 256, (8, 48, 48)).astype(np.uint8)
    faces[0] = 100
    session = open_onnx(convert(path), "cpu", 1)
    got = session.run(None, {"faces": faces[:, None].astype(np.float32)})[0]
    network = keras.models.load_model(path, compile=False)
    enlarged = np.stack([cv2.resize(face.astype(np.float32), (64, 64)) for face in faces])
    expected = np.asarray(network.predict((enlarged[..., None] / 255 - 0.5) * 2, verbose=0))[:, ORDER]
    assert np.ptp(expected, axis=1).min() > 0.01
    np.testing.assert_allclose(got, expected, atol=1e-4)
