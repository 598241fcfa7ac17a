"""`python -m facebench.tools.figures [NAME …]`: draw figures into docs/images, all of them where none is named."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from .drawing import save

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def _figures() -> dict[str, Callable[[], Figure]]:
    """Return name -> function: `draw` in a module draws the figure of its name, `draw_scale` the figure `scale`."""
    found = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not module.name.startswith("_"):
            functions = vars(importlib.import_module(f".{module.name}", __package__))
            for name, draw in functions.items():
                if name.partition("_")[0] == "draw" and getattr(draw, "__module__", "").endswith(f".{module.name}"):
                    found[(name.partition("_")[2] or module.name).replace("_", "-")] = draw
    return found


FIGURES = _figures()


def main(arguments: list[str]) -> None:
    """Draw the figures named, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m facebench.tools.figures", description="Draw the figures of docs/detectors."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(FIGURES)}; else all")
    parser.add_argument("--into", type=Path, default=IMAGES, help="folder of the PNG files; docs/images unless told")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - set(FIGURES)):
        parser.error(f"got {', '.join(unknown)}, expected some of {', '.join(FIGURES)}")
    for name in given.names or FIGURES:
        path = given.into / f"{name}.png"
        save(FIGURES[name](), path)
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
