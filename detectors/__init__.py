"""What is benchmarked: face detectors behind one interface."""

from .base import Detections, Detector, DetectorInfo, Device, RGBImage
from .conformance import Finding, check_detector
from .process.per_process import PerProcess
from .process.thread_counts import own_process
from .registry import DetectorSpec, create, default_specs, names, resolve, resolve_all, split_list

__all__ = [
    "Detections",
    "Detector",
    "DetectorInfo",
    "DetectorSpec",
    "Device",
    "Finding",
    "PerProcess",
    "RGBImage",
    "check_detector",
    "create",
    "default_specs",
    "names",
    "own_process",
    "resolve",
    "resolve_all",
    "split_list",
]
