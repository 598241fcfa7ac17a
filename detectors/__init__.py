"""What is benchmarked: face detectors behind one interface."""

from .base import Detections, Detector, DetectorInfo, Device, RGBImage
from .conformance import Finding, check_detector
from .registry import DetectorSpec, create, default_specs, names, resolve, resolve_all, split_list

__all__ = [
    "Detections",
    "Detector",
    "DetectorInfo",
    "DetectorSpec",
    "Device",
    "Finding",
    "RGBImage",
    "check_detector",
    "create",
    "default_specs",
    "names",
    "resolve",
    "resolve_all",
    "split_list",
]
