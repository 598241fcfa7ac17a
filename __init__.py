"""Benchmark of face detectors: accuracy and latency, measured honestly, and a picked default.

Public names are loaded when they are first used; importing facebench loads no heavy library and changes no
global state.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmarks import load_default as load_default
    from .datasets import load as load_dataset
    from .detectors import Detections, Detector, DetectorInfo
    from .detectors import check_detector as check_detector
    from .detectors import create as create_detector
    from .emotions import EmotionPipeline as EmotionPipeline
    from .errors import FacebenchError

__version__ = "0.1.0"

_HOME = {
    "Detections": ("detectors", "Detections"),
    "Detector": ("detectors", "Detector"),
    "DetectorInfo": ("detectors", "DetectorInfo"),
    "EmotionPipeline": ("emotions", "EmotionPipeline"),
    "FacebenchError": ("errors", "FacebenchError"),
    "check_detector": ("detectors", "check_detector"),
    "create_detector": ("detectors", "create"),
    "load_dataset": ("datasets", "load"),
    "load_default": ("benchmarks", "load_default"),
}

__all__ = [
    "Detections",
    "Detector",
    "DetectorInfo",
    "EmotionPipeline",
    "FacebenchError",
    "__version__",
    "check_detector",
    "create_detector",
    "load_dataset",
    "load_default",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOME[name]
    value = getattr(importlib.import_module(f".{module}", __name__), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
