from __future__ import annotations

from facebench.tests.detectors.conftest import available

__all__ = ["available"]
