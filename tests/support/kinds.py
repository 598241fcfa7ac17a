"""The types of fixtures."""

from __future__ import annotations

from collections.abc import Callable

from facebench.detectors import DetectorSpec

Available = Callable[[str], DetectorSpec]
Facebench = Callable[..., tuple[int, str, str]]
