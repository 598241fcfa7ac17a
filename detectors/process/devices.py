"""What can be told of the device from outside an adapter: waiting for it, and catching a claim that is not true."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..base import Detector, Device

_MAPS = Path("/proc/self/maps")


def synchronise(device: Device) -> None:
    """Wait until the GPU has finished PyTorch's work; does nothing for the CPU.

    The other libraries hand out host arrays only when they are complete.
    """
    if device == "cuda" and (torch := _torch_on_gpu()):
        torch.cuda.synchronize()


def cuda_driver_loaded(maps: Path = _MAPS) -> bool | None:
    """Tell whether the CUDA driver library is mapped into this process; None where the system does not show it."""
    try:
        return "/libcuda.so" in maps.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def false_claim(detector: Detector, driver_loaded: Callable[[], bool | None] = cuda_driver_loaded) -> str | None:
    """Compare what a detector says of its device with what the process shows.

    Only what is certain counts: nothing runs on CUDA without its driver library, and a process that holds one detector
    has no PyTorch memory on the GPU while that detector runs on the CPU. A library that loads the driver and then
    computes on the CPU is not seen here; its adapter must read that back from it.

    Args:
        detector: built, and used at least once.
        driver_loaded: whether the driver library is in this process, None if that is unknown.

    Returns:
        A sentence about the contradiction; None where there is none.
    """
    claimed = detector.device_used()
    if claimed == "cuda" and driver_loaded() is False:
        return "device_used() says cuda, but the CUDA driver (libcuda.so) is not loaded in this process"
    if claimed == "cpu" and (torch := _torch_on_gpu()) and (held := torch.cuda.memory_allocated()) > 0:
        return f"device_used() says cpu, but PyTorch holds {held / 2**20:.1f} MB on the GPU"
    return None


def _torch_on_gpu() -> Any:
    """Return PyTorch if it is loaded and has started CUDA, else None; nothing is imported or started for the answer."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None
