"""`python -m facebench.tools.figures [NAME …]`: draw figures into docs/images, all of them where none is named."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from . import (
    centerface,
    degradations,
    dlib_cnn,
    haar,
    hog,
    mediapipe,
    mtcnn,
    retinaface,
    scale,
    smallest_face,
    ssd,
    stress,
    yunet,
)
from .drawing import save

IMAGES = Path(__file__).parents[2] / "docs" / "images"
FIGURES: dict[str, Callable[[], Figure]] = {
    "haar": haar.draw,
    "hog": hog.draw,
    "dlib-cnn": dlib_cnn.draw,
    "mtcnn": mtcnn.draw,
    "ssd": ssd.draw,
    "stress": stress.draw,
    "retinaface": retinaface.draw,
    "mediapipe": mediapipe.draw,
    "yunet": yunet.draw,
    "centerface": centerface.draw,
    "smallest-face": smallest_face.draw,
    "degradations": degradations.draw,
    "scale": scale.draw,
}


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
