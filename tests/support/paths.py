"""Where the project and its helpers lie."""

from pathlib import Path

SUPPORT = Path(__file__).parent
"""Folder of the modules that children import by their bare names."""
ROOT = SUPPORT.parents[1]
"""The repository, which is the package."""
