"""From a trained network to an ONNX file that ONNX Runtime runs, and the proof that both answer alike.

The file takes grey levels as float32 (n, 1, 48, 48) and returns probabilities float32 (n, 7): standardising each
image and the softmax are inside. Batch normalisation is folded into the convolutions before export.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ...detectors.runtimes.onnx_runtime import open_onnx
from ...errors import ContractError
from .networks import SIZE_PX

TOLERANCE = 1e-4
MAXIMUM_BYTES = 8_000_000
OPSET = 17


def export(network: nn.Sequential, path: Path, probe: NDArray[np.uint8], *, classes: tuple[str, ...]) -> float:
    """Write a network as ONNX and return the largest difference between its probabilities and PyTorch's.

    Args:
        network: in evaluation mode; it gives logits and is left as it is.
        path: where to write; the file is there only when it passed.
        probe: uint8 (n, 48, 48), faces to compare on; give some hundred real ones.
        classes: names of the outputs, kept in the file.

    Raises:
        ContractError: the difference is above `TOLERANCE`, or the file larger than `MAXIMUM_BYTES`.
    """
    content = _exported(nn.Sequential(_folded(network), nn.Softmax(dim=1)), classes)
    if len(content) > MAXIMUM_BYTES:
        raise ContractError(f"got an ONNX file of {len(content):,} bytes, expected at most {MAXIMUM_BYTES:,}")
    difference = largest_difference(content, network, probe)
    if not difference <= TOLERANCE:
        raise ContractError(
            f"the probabilities of ONNX Runtime and PyTorch differ by {difference:.2g}, expected at most {TOLERANCE:g}"
        )
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    return difference


def largest_difference(model: Path | bytes, network: nn.Sequential, probe: NDArray[np.uint8]) -> float:
    """Return the largest absolute difference of the probabilities over all images and classes."""
    images = probe.astype(np.float32)[:, None]
    session = open_onnx(model, "cpu", 1)
    exported = session.run(None, {session.get_inputs()[0].name: images})[0]
    with torch.inference_mode():
        original = network.float()(torch.from_numpy(images)).softmax(dim=1).numpy()
    return float(np.abs(exported - original).max())


def _folded(network: nn.Sequential) -> nn.Sequential:
    """Return a copy in which each batch normalisation has gone into the convolution before it."""
    folded = copy.deepcopy(network).float().eval()
    for module in list(folded.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        for index in range(1, len(module)):
            convolution, normalisation = module[index - 1], module[index]
            if isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d):
                module[index - 1] = fuse_conv_bn_eval(convolution, normalisation)
                module[index] = nn.Identity()
    return folded


def _exported(network: nn.Sequential, classes: tuple[str, ...]) -> bytes:
    import onnx

    stream = io.BytesIO()
    # a batch of two, because a tracer may take a batch of one for a constant
    with _quiet():
        torch.onnx.export(
            network.eval(),
            (torch.zeros(2, 1, SIZE_PX, SIZE_PX),),
            stream,  # type: ignore[arg-type]  # its annotation lags behind: any binary stream will do
            dynamo=False,
            opset_version=OPSET,
            input_names=["faces"],
            output_names=["probabilities"],
            dynamic_axes={"faces": {0: "n"}, "probabilities": {0: "n"}},
        )
    model = onnx.load_from_string(stream.getvalue())
    onnx.helper.set_model_props(model, {"classes": ",".join(classes)})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the notices of the TorchScript exporter back: the newer one needs a package more and gives the same."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
