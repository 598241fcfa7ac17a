"""What runs a network: ONNX graphs in several runtimes, and OpenCV; the others are imported by their names."""

from .graphs import with_free_sizes
from .opencv import OpenCvDetector, to_bgr
from .opening import open_session
from .sessions import OnnxNetwork, Session

__all__ = ["OnnxNetwork", "OpenCvDetector", "Session", "open_session", "to_bgr", "with_free_sizes"]
