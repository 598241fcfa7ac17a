"""PyTorch, which has one number of threads for the whole process, and no threads in a forked child."""

from __future__ import annotations

from ...errors import DeviceError
from ..base import Device
from ..process import lost_its_threads, own_process


def set_up(device: Device, threads: int) -> None:
    """Set threads and precision, in a process of the detector's own only, and make sure of the device.

    On CUDA, PyTorch rounds the factors of a convolution to 10 bits (TF32) unless it is told not to.

    Raises:
        DeviceError: there is no CUDA device.
    """
    import torch

    if own_process():
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    do_without_lost_threads()
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"PyTorch {torch.__version__} finds no CUDA device; install its CUDA build, or use cpu")


def do_without_lost_threads() -> None:
    """Compute with one thread in a forked child, which would wait forever for those of its parent."""
    import torch

    if lost_its_threads("PyTorch") and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def threads_of_process() -> int:
    """Read back how many threads one operator may use."""
    import torch

    return int(torch.get_num_threads())


def precision_of_process(device: Device) -> str:
    """Read back in which precision convolutions of fp32 compute."""
    import torch

    return "tf32" if device == "cuda" and torch.backends.cudnn.allow_tf32 else "fp32"


def peak_memory_mb() -> float:
    """Read the peak of the allocator on the GPU, MB; the CUDA context is not in it."""
    import torch

    return torch.cuda.max_memory_allocated("cuda") / 2**20
