"""What is benchmarked: face detectors behind one interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import UNKNOWN, BuildOptions, Detections, Detector, DetectorInfo, Device, Range, RGBImage, ScoreKind
from .images import check_image
from .process import PerProcess, own_process
from .registry import DetectorSpec, create, default_specs, names, resolve, resolve_all, split_list
from .setting import Setting

if TYPE_CHECKING:
    from .conformance import CheckResult, check_detector

__all__ = [
    "UNKNOWN",
    "BuildOptions",
    "CheckResult",
    "Detections",
    "Detector",
    "DetectorInfo",
    "DetectorSpec",
    "Device",
    "PerProcess",
    "RGBImage",
    "Range",
    "ScoreKind",
    "Setting",
    "check_detector",
    "check_image",
    "create",
    "default_specs",
    "names",
    "own_process",
    "resolve",
    "resolve_all",
    "split_list",
]


def __getattr__(name: str) -> Any:
    """Load the conformance kit when it is first asked for: few need it."""
    if name not in ("CheckResult", "check_detector"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import conformance

    return getattr(conformance, name)
