"""Verbs about data: what there is, fetching it, checking it, counting it, writing it in another format."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import DataError, FacebenchError, UsageError
from .app import App
from .console import BoxFormat, Data, Json, MaxMegapixels, json_text, say, stderr, stdout, with_box_format

if TYPE_CHECKING:
    from rich.console import Console

    from ..datasets.fetch.catalog import DataSetEntry

Progress = Callable[[int, int], None]

data_app = App("The images to measure on.")

Format = Literal["yolo", "coco", "voc", "csv", "json", "wider"]
Source = Annotated[
    str, typer.Argument(help="A data set, or a folder, zip, tar or address; ?format=… and other options behind it.")
]


@data_app.command("list")
def data_list(data: Data = None, as_json: Json = False) -> None:
    """List the data sets, and of those that can be fetched whether they are here, their size and terms."""
    from ..datasets import data_root, known
    from ..datasets.fetch.catalog import catalog, is_here

    root = data_root(data)
    rows: list[dict[str, Any]] = []
    for name, text in known():
        row: dict[str, Any] = {"dataset": name, "description": text}
        if name in catalog():
            entry = catalog()[name]
            row |= {
                "here": is_here(entry, root),
                "bytes": entry.bytes,
                "terms": entry.terms,
                "homepage": entry.homepage,
                "files": [
                    {
                        "file": file.name,
                        "bytes": file.bytes,
                        "hashes": dict(file.hashes),
                        "evidence": file.evidence,
                        "sources": list(file.sources),
                    }
                    for file in entry.files
                ],
            }
        rows.append(row)
    if as_json:
        typer.echo(json_text(rows, indent=2))
        return
    for row in rows:
        say(f"{row['dataset']}: {row['description']}")
        if "here" in row:
            state = "here" if row["here"] else f"not here; facebench data fetch {row['dataset']}"
            say(f"    {state} ({row['bytes'] / 1e6:,.0f} MB). {row['terms']}")


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str], typer.Argument(help="Data sets that `facebench data list` says can be fetched.")],
    data: Data = None,
    at_hand: Annotated[
        Path | None, typer.Option("--from", help="An archive that you have, or a folder of them; no download then.")
    ] = None,
    accept_terms: Annotated[bool, typer.Option("--accept-terms", help="Accept the terms of the data.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep downloaded archives when they are unpacked.")] = False,
) -> None:
    """Fetch data sets to this machine: verified, safely unpacked, recorded."""
    from ..datasets import data_root
    from ..datasets.fetch.catalog import entry, fetch

    entries = [entry(name) for name in dict.fromkeys(names)]
    root = data_root(data)
    console = stderr()
    failed = False
    for one in entries:
        try:
            with _bars(console) as progress:
                home = fetch(one, root, agrees=_agreement(accept_terms), at_hand=at_hand, keep=keep, progress=progress)
        except DataError as error:
            failed = True
            say(f"facebench: {one.name}: {error}", err=True)
            continue
        say(f"{one.name}: {home}")
    if failed:
        raise SystemExit(2)


@data_app.command("verify")
def data_verify(
    name: Source,
    data: Data = None,
    box_format: BoxFormat = None,
    max_megapixels: MaxMegapixels = 100,
    as_json: Json = False,
) -> None:
    """Check every file of a data set: recorded checksums, whether images can be decoded, the annotation.

    The exit code is 1 where something is broken, or an annotated image has no file.
    """
    from ..datasets import data_root, load
    from ..datasets.fetch.catalog import catalog, changed_files
    from ..datasets.manage.statistics import BadFile, undecodable
    from ..datasets.registry import folder_name

    full = folder_name(with_box_format(name, box_format))
    faults: list[BadFile] = []
    remarks: list[str] = []
    images = 0
    base = full.partition("?")[0]
    if base in catalog():
        changed, unrecorded = changed_files(catalog()[base], data_root(data))
        faults += [BadFile(file, what) for file, what in changed]
        remarks += [f"{folder} was not unpacked by facebench: no checksums on record." for folder in unrecorded]
    try:
        dataset = load(full, root=data)
    except UsageError:
        raise
    except FacebenchError as error:
        faults.append(BadFile(name, str(error)))
    else:
        images = len(dataset)
        remarks += dataset.notes
        faults += [BadFile(image_id, what) for image_id, what in dataset.missing.items()]
        faults += undecodable(dataset, max_pixels=round(max_megapixels * 1e6))
    if as_json:
        broken = [{"file": fault.file, "what": fault.what} for fault in faults]
        typer.echo(json_text({"dataset": name, "pictures": images, "faults": broken, "notes": remarks}, indent=2))
    else:
        say(*(f"FAIL  {fault.file}: {fault.what}" for fault in faults))
        say(*(f"note: {remark}" for remark in remarks))
        say(f"{name}: {images:,} images decoded, {len(faults):,} faults")
    if faults:
        raise typer.Exit(1)


@data_app.command("stats")
def data_stats(name: Source, data: Data = None, box_format: BoxFormat = None, as_json: Json = False) -> None:
    """Count images, faces, their sizes, what is ignored, and what is odd."""
    from rich.table import Table

    from ..datasets import load
    from ..datasets.manage.statistics import statistics
    from ..datasets.registry import folder_name

    found = statistics(load(folder_name(with_box_format(name, box_format)), root=data))
    if as_json:
        typer.echo(json_text(found, indent=2))
        return
    say(f"{found['dataset']}: {found['description']}")
    table = Table(show_header=False)
    for key, title in (
        ("pictures", "images"),
        ("total", "images of the whole set"),
        ("without_faces", "images without a face"),
        ("faces", "faces"),
        ("ignored", "of them ignored"),
    ):
        table.add_row(title, f"{found[key]:,}")
    if found["crowd_regions"]:
        table.add_row("crowd regions", f"{found['crowd_regions']:,}")
    for key, what in (("faces_by_height_px", "{} px high"), ("faces_by_share", "that fill {} of their image")):
        for kind, count in found[key].items():
            if count:
                table.add_row(f"faces {what.format(kind)}", f"{count:,}")
    for key in ("face_height_px", "picture_width_px", "picture_height_px"):
        if found[key]:
            values = ", ".join(f"{value:,.0f}" for value in found[key].values())
            table.add_row(f"{key.replace('_', ' ')}: smallest, 10 %, median, 90 %, largest", values)
    stdout().print(table)
    say(*(f"note: {note}" for note in (*found["notes"], *found["faults"])))


@data_app.command("convert")
def data_convert(
    source: Source,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to make.")],
    file_format: Annotated[Format, typer.Option("--format", help="How to write it.")],
    data: Data = None,
    images: Annotated[
        Literal["link", "copy"], typer.Option("--images", "--pictures", help="Link to image files, or copy them.")
    ] = "link",
    box_format: BoxFormat = None,
    as_json: Json = False,
) -> None:
    """Write annotated images in another format, as a folder that the data set `folder` reads."""
    from ..datasets.manage.conversion import convert, read_any

    done = convert(read_any(with_box_format(source, box_format), data), output, file_format, images=images)
    if as_json:
        told = {"folder": str(done.folder), "pictures": done.images, "faces": done.faces, "lost": list(done.lost)}
        typer.echo(json_text(told, indent=2))
        return
    say(f"wrote {done.images:,} images with {done.faces:,} faces to {done.folder}")
    say(*(f"note: {sentence}" for sentence in done.lost))


def _agreement(accept_terms: bool) -> Callable[[DataSetEntry], bool]:
    """What answers for the user: the option, or the user where there is a terminal; else no."""

    def agrees(entry: DataSetEntry) -> bool:
        if accept_terms:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        say(entry.title, entry.terms, f"See {entry.homepage}", err=True)
        return typer.confirm("Do you accept these terms?", default=False, err=True)

    return agrees


@contextlib.contextmanager
def _bars(console: Console) -> Iterator[Callable[[str], Progress]]:
    """Progress bars, one an archive; silent where nobody looks. The question about terms comes before any of them."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("fetching {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    bars = Bars(*columns, console=console, transient=True, disable=not console.is_terminal)

    def begin(name: str) -> Progress:
        bars.start()
        task = bars.add_task(name, total=None)
        return lambda done, total: bars.update(task, completed=done, total=total or None)

    try:
        yield begin
    finally:
        bars.stop()
