"""The verb that uses a detector: detect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import Device, create_fetched, fetch_models, stderr


def detect_command(
    pictures: Annotated[list[Path], typer.Argument(help="Picture files.")],
    detector: Annotated[str, typer.Option(help="A detector, or default: the picked one.")] = "default",
    device: Annotated[Device, typer.Option(help="cpu or cuda; for a named detector.")] = "cpu",
    overlay: Annotated[Path | None, typer.Option(help="Folder for copies of the pictures with boxes drawn in.")] = None,
) -> None:
    """Find the faces in pictures: one JSON line a picture, and pictures with boxes."""
    from ..benchmarks.ranking import default_file, load_default, read_pick
    from ..datasets import decode
    from ..detectors import resolve
    from ..reports.gallery import write_overlay

    if detector == "default":
        fetch_models([resolve(read_pick(default_file())["detector"])], stderr(), strict=True)
        found = load_default()
    else:
        found = create_fetched(detector, device)
    failed = False
    for path in pictures:
        decoded = decode(path)
        line: dict[str, Any] = {"picture": str(path), "detector": found.info.name}
        if decoded.image is None:
            failed = True
            typer.echo(json.dumps(line | {"error": f"{decoded.verdict}: {decoded.detail}"}))
            continue
        result = found.detect(decoded.image)
        faces: list[dict[str, Any]] = [
            {"box": [round(float(value), 2) for value in box], "score": round(float(score), 4)}
            for box, score in zip(result.boxes, result.scores, strict=True)
        ]
        for index, points in enumerate(result.landmarks if result.landmarks is not None else ()):
            faces[index]["landmarks"] = [[round(float(value), 2) for value in point] for point in points]
        if overlay is not None:
            line["overlay"] = str(write_overlay(decoded.image, result.boxes, overlay / f"{path.stem}.faces.jpg"))
        typer.echo(json.dumps(line | {"faces": faces}))
    found.close()
    if failed:
        raise typer.Exit(1)
