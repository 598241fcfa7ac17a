"""Verbs about what there is: detectors and models."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..errors import FacebenchError, ModelStoreError
from .app import App
from .console import Device, Json, fetch_model, fetch_models, json_text, say, stderr, stdout

detectors_app = App("What can be measured.")
models_app = App("The model files that detectors load.")


@detectors_app.command("list")
def detectors_list(as_json: Json = False) -> None:
    """List the detectors, and what is missing to run those that cannot."""
    from rich.table import Table

    from ..detectors import default_specs, names, resolve

    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys([*default_specs(), *names()]):
        try:
            spec = resolve(name)
        except FacebenchError as error:
            # a package of somebody else's that cannot be imported; the others can be listed all the same
            nothing = dict.fromkeys(("family", "package", "licence", "weights_licence", "scores", "remedy", "note"), "")
            empty: dict[str, Any] = {"devices": [], "trained_on": [], "parameters": {}}
            rows.append({"detector": name, **nothing, **empty, "state": f"broken: {error}"})
            continue
        missing, info = spec.missing(), spec.card()
        rows.append(
            {
                "detector": str(spec),
                "family": info.family,
                "package": info.package,
                "licence": info.licence,
                "weights_licence": info.weights_licence,
                "devices": list(info.devices),
                "scores": info.score_kind,
                "trained_on": list(info.trained_on),
                "parameters": {name: str(value) for name, value in spec.parameters.items()},
                "state": spec.state(),
                "remedy": missing.remedy if missing else "",
                "note": info.note,
            }
        )
    if as_json:
        typer.echo(json_text(rows, indent=2))
        return
    table = Table("detector", "package", "licence: code, weights", "trained on", "scores", "parameters", "state")
    for row in rows:
        parameters = ", ".join(f"{name}={value}" for name, value in row["parameters"].items())
        licences = ", ".join(filter(None, (row["licence"], row["weights_licence"])))
        trained = ", ".join(row["trained_on"])
        texts = (row["detector"], row["package"], licences, trained, row["scores"], parameters, row["state"])
        table.add_row(*texts)
    stdout().print(table)
    # below the table: each command once, in a line that can be copied
    for command in dict.fromkeys(row["remedy"] for row in rows if row["remedy"]):
        which = ", ".join(row["detector"] for row in rows if row["remedy"] == command)
        say(f"To fix {which}: {command}")


@detectors_app.command("check")
def detectors_check(
    spec: Annotated[str, typer.Argument(help="A detector, ours or your own package.module:Class.")],
    device: Annotated[Device, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    as_json: Json = False,
) -> None:
    """Check that a detector keeps the contract."""
    from ..detectors import check_detector, resolve

    resolved = resolve(spec)
    fetch_models([resolved], stderr(), strict=True, device=device)
    findings = check_detector(resolved, device=device, threads=threads)
    if as_json:
        typer.echo(
            json_text([{"check": item.check, "ok": item.ok, "detail": item.detail} for item in findings], indent=2)
        )
    else:
        for item in findings:
            say(f"{'ok  ' if item.ok else 'FAIL'}  {item.check}: {item.detail}")
    if not all(item.ok for item in findings):
        raise typer.Exit(1)


@models_app.command("list")
def models_list(as_json: Json = False) -> None:
    """List the model files and whether they are on this machine."""
    from rich.table import Table

    from ..detectors.models import store as model_store

    rows: list[dict[str, Any]] = [
        {
            "model": item.file.name,
            "file": item.file.file_name,
            "bytes": item.file.bytes,
            "sha256": item.file.sha256,
            "licence": item.file.licence,
            "trained_on": list(item.file.trained_on),
            "state": item.state,
            "path": str(item.path or ""),
        }
        for item in model_store.status()
    ]
    if as_json:
        typer.echo(json_text(rows, indent=2))
        return
    table = Table("model", "file", "MB", "licence", "trained on", "state")
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f}"
        table.add_row(row["model"], row["file"], size, row["licence"], ", ".join(row["trained_on"]), row["state"])
    stdout().print(table)


@models_app.command("fetch")
def models_fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models; by default all that built-in detectors need.")
    ] = None,
) -> None:
    """Fetch model files to this machine, verified."""
    from ..detectors import default_specs, resolve
    from ..detectors.models import store as model_store

    wanted = names or list(dict.fromkeys(model for text in default_specs() for model in resolve(text).models()))
    for name in wanted:
        model_store.model_file(name)
    console = stderr()
    failed = []
    for name in wanted:
        try:
            say(f"{name}: {fetch_model(name, console)}")
        except ModelStoreError as error:
            failed.append(name)
            say(f"facebench: {name}: {error}", err=True)
    if failed:
        raise SystemExit(2)
