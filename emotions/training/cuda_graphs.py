"""Networks whose kernels a GPU starts by itself: recorded once for one shape of batch, then replayed (CUDA graphs).

A step of a small network is some hundred short kernels, and starting them from Python takes longer than running them.
Recording needs a shape that never changes, and the weights have to stay where they are in memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

_WARM_UPS = 3


def record_training(network: nn.Sequential, images: int, side: int) -> None:
    """Record the forward and backward pass that the network has in training mode, in bfloat16; replay them from now on.

    Weights and statistics are what they were before. Call it under an autocast that caches nothing, as here.

    Args:
        network: on a CUDA device, in training mode.
        images: how many a batch has, always.
        side: of an image, in pixels.
    """
    before = copy.deepcopy(network.state_dict())
    sample = torch.rand(images, 1, side, side, device="cuda").to(memory_format=torch.channels_last)
    with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
        torch.cuda.make_graphed_callables(network, (sample,), num_warmup_iters=_WARM_UPS)  # in its place
    network.load_state_dict(before)


def recorded(answers: Callable[[Tensor], Tensor], images: int, side: int) -> Callable[[Tensor], Tensor]:
    """Return a function that gives what `answers` gives; its result lasts until it is called again.

    Args:
        answers: takes float32 (images, 1, side, side) on a CUDA device and needs no gradient.
        images: how many a batch has, always.
        side: of an image, in pixels.
    """
    given = torch.rand(images, 1, side, side, device="cuda").to(memory_format=torch.channels_last)
    beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream())
    with torch.no_grad(), torch.cuda.stream(beside):
        for _ in range(_WARM_UPS):
            answers(given)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.no_grad(), torch.cuda.graph(graph):
        result = answers(given)

    def replay(batch: Tensor) -> Tensor:
        given.copy_(batch)
        graph.replay()
        return result

    return replay
