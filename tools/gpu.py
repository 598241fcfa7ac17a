"""A GPU in one sitting: every detector that claims CUDA is checked, scored beside the CPU, and timed in batches.

    make gpu                        # on a machine with a GPU; WHEELS=DIR where it has no network
    python -m facebench.tools.gpu --device cpu --images 16 --batch 1,4 --rounds 1   # a dry run without one

Each detector passes the conformance kit on the device, which proves that it runs there. Then one results folder gets
rows of the CPU and of the device for each detector and precision: AP, p50, images/s in batches, memory, and what part
of a call is the host's. AP on the device must be the CPU's within .002 at fp32. Everything works on embedded scenes, at
one size so that they fill batches. A detector whose packages are not there is named. Exit code 1 says that something
does not hold; the rest is measured all the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..detectors import DetectorSpec, Device, default_specs, resolve
from ..detectors.runtimes.sessions import check_runtime
from ..errors import UsageError

SIZE = "square=640"
MOST_DIFFERENCE = 0.002
"""Of AP between the CPU and the device at fp32."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done.

    Attributes:
        name: what.
        fault: why it does not hold; empty where it does.
        seconds: how long it took.
        absent: why it could not be done.
    """

    name: str
    fault: str
    seconds: float
    absent: str = ""


def specs_for(device: Device) -> list[DetectorSpec]:
    """Return the built-in detectors that claim CUDA, in fp32 and where their runtime has it on the device in fp16."""
    found = []
    for text in default_specs():
        spec = resolve(text)
        if "cuda" not in spec.card().devices:
            continue
        found.append(spec)
        if "precision" in spec.parameters:
            with suppress(UsageError):
                check_runtime(spec.parameters["runtime"], "fp16", device)
                found.append(resolve(f"{text}{',' if ':' in text else ':'}precision=fp16"))
    return found


def check(spec: DetectorSpec, device: Device) -> Step:
    """Let the conformance kit look at a detector on the device."""
    began = time.perf_counter()
    missing = spec.missing(device)
    if missing is not None:
        return Step(f"check {spec}", "", time.perf_counter() - began, str(missing))
    done = _facebench("detectors", "check", str(spec), "--device", device, "--json")
    failed = [f"{item['check']}: {item['detail']}" for item in _checks(done) if not item["ok"]]
    fault = "; ".join(failed) or (done.stderr.strip() if done.returncode else "")
    return Step(f"check {spec}", fault, time.perf_counter() - began)


def measure(specs: Sequence[DetectorSpec], device: Device, images: int, out: Path, *more: str) -> Step:
    """Measure detectors on a device into a results folder; what is there is not measured again."""
    began = time.perf_counter()
    names = ",".join(map(str, specs))
    dataset = f"scenes?count={images}"
    done = _facebench(
        *("run", "--detectors", names, "--dataset", dataset, "--size", SIZE, "--device", device, "--out", str(out)),
        *more,
    )
    fault = done.stderr.strip() if done.returncode else ""
    return Step(f"run on {device}", fault, time.perf_counter() - began)


def compared(rows: Sequence[dict[str, Any]], device: Device) -> list[Step]:
    """Compare the AP of each row on the device with that of the same detector on the CPU."""
    on_cpu = {row["spec"]: row for row in rows if row["device"] == "cpu"}
    steps = []
    for row in rows:
        if row["device"] != device or row["status"] != "done" or row["spec"] not in on_cpu:
            continue
        ours, cpu = row["AP_overall"], on_cpu[row["spec"]]["AP_overall"]
        fault = "" if abs(ours - cpu) <= MOST_DIFFERENCE else f"AP {ours:.4f} on {device}, {cpu:.4f} on the CPU"
        steps.append(Step(f"AP of {row['spec']} on {device} {ours:.3f}, on cpu {cpu:.3f}", fault, 0.0))
    return steps


def main(
    device: Annotated[Device, typer.Option(help="cuda, or cpu for a dry run.")] = "cuda",
    out: Annotated[Path, typer.Option(help="Results folder.")] = Path("runs/gpu"),
    images: Annotated[int, typer.Option(help="Scenes; batches need as many as their largest.")] = 64,
    batch: Annotated[str, typer.Option(help="Images in a batch.")] = "1,4,16,64",
    rounds: Annotated[int, typer.Option(help="Timed rounds on the device.")] = 3,
) -> None:
    """Check, score and time every detector that claims a device."""
    began = time.perf_counter()
    specs = specs_for(device)
    steps = [_said(check(spec, device)) for spec in specs]
    there = [spec for spec, step in zip(specs, steps, strict=True) if not step.absent]
    steps.append(_said(measure(there, device, images, out, "--batch", batch, "--rounds", str(rounds))))
    if device != "cpu":
        whole = [spec for spec in there if spec.parameters.get("precision", "fp32") == "fp32"]
        steps.append(_said(measure(whole, "cpu", images, out, "--rounds", "1")))
        rows = json.loads(_facebench("table", str(out), "--json").stdout)["rows"]
        steps.extend(map(_said, compared(rows, device)))
    report = out.with_suffix(".html")
    _facebench("report", str(out), "--output", str(report))
    print(_facebench("table", str(out)).stdout)
    print(f"{report}: {time.perf_counter() - began:.0f} s in all")
    raise typer.Exit(1 if any(step.fault for step in steps) else 0)


def _said(step: Step) -> Step:
    print(f"{step.name}: {step.fault or step.absent or 'holds'} ({step.seconds:.0f} s)", flush=True)
    return step


def _facebench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, so that none holds the GPU for another."""
    return subprocess.run(
        [sys.executable, "-m", "facebench.cli", *arguments], check=False, capture_output=True, text=True
    )


def _checks(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    try:
        return list(json.loads(done.stdout))
    except ValueError:  # it ended before it could say anything: its exit code and words are looked at
        return []


if __name__ == "__main__":
    typer.run(main)
