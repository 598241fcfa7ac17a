"""What runs a network: ONNX Runtime and OpenCV; `pytorch` and `tensorflow` are imported by their names."""

from .onnx_runtime import OnnxSession, device_of, open_session, threads_of
from .opencv import OpenCvDetector, to_bgr

__all__ = ["OnnxSession", "OpenCvDetector", "device_of", "open_session", "threads_of", "to_bgr"]
