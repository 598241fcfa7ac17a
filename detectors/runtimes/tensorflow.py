"""TensorFlow, which takes threads and devices once a process, before its first operation."""

from __future__ import annotations

from typing import Any

from ...errors import DeviceError, UsageError
from ..base import Device
from ..process import own_process, refuse_fork


def set_up(tensorflow: Any, device: Device, threads: int) -> None:
    """Make sure of the device, and set it and the threads in a process of the detector's own only.

    Raises:
        DeviceError: TensorFlow has no GPU, or runs on other devices already.
        UsageError: it runs with another number of threads already, or was used before this process was forked.
    """
    refuse_fork("TensorFlow")
    check_device(tensorflow, device)
    if own_process():
        _set_threads(tensorflow, threads)
        set_device(tensorflow, device)


def check_device(tensorflow: Any, device: Device) -> None:
    """Raise DeviceError where TensorFlow has no such device."""
    if device == "cuda" and not tensorflow.config.list_physical_devices("GPU"):
        built = tensorflow.test.is_built_with_cuda()
        why = "finds no GPU: check the driver" if built else "is built without CUDA: install tensorflow[and-cuda]"
        raise DeviceError(f"TensorFlow {tensorflow.__version__} {why}, or use cpu")


def set_device(tensorflow: Any, device: Device) -> None:
    """Show TensorFlow the devices that it may use."""
    gpus = tensorflow.config.list_physical_devices("GPU")
    if not gpus:
        return
    try:
        tensorflow.config.set_visible_devices(gpus if device == "cuda" else [], "GPU")
    except RuntimeError as error:
        raise DeviceError(
            f"TensorFlow already runs on other devices than {device} in this process: "
            "it takes them only before its first use"
        ) from error


def _set_threads(tensorflow: Any, threads: int) -> None:
    threading = tensorflow.config.threading
    if (threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()) == (threads, 1):
        return
    try:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise UsageError(
            f"TensorFlow already runs with {threading.get_intra_op_parallelism_threads()} threads in this process, "
            f"got {threads}: it takes a number only before its first use"
        ) from error


def threads_of_process(tensorflow: Any) -> int:
    """Read back the threads within an operator or between operators, the larger number."""
    threading = tensorflow.config.threading
    return int(max(threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()))


def peak_memory_mb(tensorflow: Any) -> float:
    """Read the peak of the allocator on the GPU, MB."""
    return float(tensorflow.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**20
