"""ONNX graphs made to take images of other sizes than those that they were exported with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def with_free_sizes(model: Path | bytes) -> bytes:
    """Return an ONNX graph that takes any number of images of any size, where its operators allow that.

    Exporters write the sizes of the image that they traced with into the shapes of inputs and outputs, and a batch of
    one into the reshaping of the outputs. Shapes that were inferred are dropped, or a runtime warns at each call.
    """
    import onnx
    from onnx import numpy_helper

    loaded = onnx.load_model_from_string(model) if isinstance(model, bytes) else onnx.load(model)
    graph = loaded.graph
    for value in _images(graph):
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if axis != 1:
                dimension.dim_param = f"{value.name}_{axis}"
    for value in graph.output:
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            dimension.dim_param = f"{value.name}_{axis}"
    del graph.value_info[:]
    constants = [node.attribute[0].t for node in graph.node if node.op_type == "Constant"]
    for tensor in (*graph.initializer, *constants):
        if tensor.data_type == onnx.TensorProto.INT64 and list(tensor.dims) == [3]:
            shape = numpy_helper.to_array(tensor)
            if shape[0] == 1 and shape[1] == -1:
                # 0: as many as come in
                tensor.CopyFrom(numpy_helper.from_array(np.array([0, *shape[1:]]), tensor.name))
    serialised: bytes = loaded.SerializeToString()
    return serialised


def with_sizes(model: bytes, shape: Sequence[int]) -> bytes:
    """Return an ONNX graph whose input has this shape, n × 3 × height × width."""
    import onnx

    loaded = onnx.load_model_from_string(model)
    for value in _images(loaded.graph):
        for dimension, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
            dimension.dim_value = size
    serialised: bytes = loaded.SerializeToString()
    return serialised


def names_of(model: bytes) -> tuple[str, tuple[str, ...]]:
    """Return the name of the input for images, and those of the outputs in their order."""
    import onnx

    graph = onnx.load_model_from_string(model).graph
    (images,) = _images(graph)
    return images.name, tuple(value.name for value in graph.output)


def _images(graph: Any) -> Iterator[Any]:
    """Yield the inputs that are no weights; older exporters list these as inputs too."""
    weights = {tensor.name for tensor in graph.initializer}
    yield from (value for value in graph.input if value.name not in weights)
