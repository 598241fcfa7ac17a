"""The sections of the report, one per file: found by walking this folder, in the order that each file names."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache

from .base import Page, Section

__all__ = ["Page", "Section", "sections"]


@cache
def sections() -> tuple[Callable[[Page], Section | None], ...]:
    """Return what makes each section, in the order of the page; one that has nothing to say gives None."""
    names = [found.name for found in pkgutil.walk_packages(__path__, f"{__name__}.")]
    modules = [module for module in map(importlib.import_module, names) if hasattr(module, "section")]
    return tuple(module.section for module in sorted(modules, key=lambda module: module.ORDER))
