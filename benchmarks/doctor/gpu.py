"""Whether a GPU can be used: the driver's word, and that of each library in a process of its own."""

from __future__ import annotations

import functools
import re

from ...detectors import default_specs, resolve
from .facts import NO_SUCH_PROGRAM, Finding, Machine

_QUERY = ("name", "driver_version", "memory.total", "memory.used", "utilization.gpu")
_SMI_TIMEOUT_S = 60.0
_BUSY_PERCENT = 10.0
_NONE_LOST = "; there is no GPU that it could use"

_finding = functools.partial(Finding, "GPU")


def gpu(machine: Machine) -> list[Finding]:
    """Look for GPUs, and for libraries that cannot use them though they are there."""
    driver = _driver(machine)
    seen = any(finding.level == "ok" for finding in driver)
    hidden = _hidden(machine, seen)
    libraries = (_torch(machine, seen), _onnxruntime(machine, seen), _tensorflow(machine, seen))
    return [*driver, *(finding for finding in (hidden, *libraries) if finding is not None)]


def _driver(machine: Machine) -> list[Finding]:
    answer = machine.run(
        ["nvidia-smi", f"--query-gpu={','.join(_QUERY)}", "--format=csv,noheader,nounits"], timeout_s=_SMI_TIMEOUT_S
    )
    if answer.code == NO_SUCH_PROGRAM:
        if machine.read("proc/driver/nvidia/version") is None:
            return [_finding("driver", "note", "no nvidia-smi, no NVIDIA driver", "detectors run on the CPU only.")]
        meaning = "whether a GPU is in use by others cannot be seen."
        return [_finding("driver", "warning", "an NVIDIA driver without nvidia-smi", meaning)]
    rows = [[field.strip() for field in line.split(",")] for line in answer.output.splitlines()]
    rows = [row for row in rows if len(row) == len(_QUERY)]
    if answer.code != 0 or not rows:
        meaning = (
            "--device cuda fails. After an update of the driver start the machine again; a container needs the GPU."
        )
        return [_finding("driver", "warning", f"nvidia-smi: {answer.fault()}", meaning)]
    findings = []
    for index, (name, version, total, used, busy) in enumerate(rows):
        found = f"GPU {index}: {name}, driver {version}, {total} MB"
        findings.append(_finding(f"gpu-{index}", "ok", found))
        if _number(busy) >= _BUSY_PERCENT or _number(used) >= 0.1 * _number(total, 1e18):
            meaning = "another program uses it: times on it are too long, and its memory may run out."
            findings.append(
                _finding(f"gpu-{index}-busy", "warning", f"GPU {index}: {busy} % busy, {used} MB taken", meaning)
            )
    return findings


def _hidden(machine: Machine, seen: bool) -> Finding | None:
    value = machine.environment.get("CUDA_VISIBLE_DEVICES")
    if value is None or not seen:
        return None
    found = f"CUDA_VISIBLE_DEVICES={value}"
    if value.strip() in ("", "-1"):
        meaning = "it hides every GPU: --device cuda fails."
        return _finding("visible-devices", "warning", found, meaning, "unset CUDA_VISIBLE_DEVICES")
    return _finding("visible-devices", "note", found, "libraries see these GPUs only, numbered from 0.")


def _torch(machine: Machine, seen: bool) -> Finding | None:
    if machine.module("torch") is None:
        return None
    said, fault = machine.probe("torch")
    if fault:
        meaning = f"{_users('torch')} cannot be measured."
        return _finding(
            "torch", "warning", f"PyTorch cannot be imported: {fault}", meaning, "pip install --force-reinstall torch"
        )
    found = f"PyTorch {said['version']}"
    if not said["built_for"]:
        remedy = "pip uninstall --yes torch && pip install torch"
        return _cpu_build("torch", found, remedy, seen)
    if said["fault"]:
        return _finding(
            "torch",
            "warning" if seen else "note",
            f"{found}, built for {said['built_for']}, cannot use a GPU: {said['fault']}",
            f"--device cuda is an error for {_users('torch')}.",
        )
    return _finding("torch", "ok", f"{found}, built for {said['built_for']}, computes on {', '.join(said['devices'])}")


def _onnxruntime(machine: Machine, seen: bool) -> Finding | None:
    if machine.module("onnxruntime") is None:
        return None  # `detectors` tells
    said, fault = machine.probe("onnxruntime")
    if fault:
        found, remedy = f"ONNX Runtime cannot be imported: {fault}", "pip install --force-reinstall onnxruntime"
        return _finding("onnxruntime", "warning", found, f"{_users('onnxruntime')} cannot be measured.", remedy)
    found = f"ONNX Runtime {said['version']} ({', '.join(said['providers'])})"
    if "CUDAExecutionProvider" not in said["providers"]:
        remedy = "pip uninstall --yes onnxruntime && pip install onnxruntime-gpu"
        return _cpu_build("onnxruntime", found, remedy, seen)
    if said["fault"]:
        return _finding(
            "onnxruntime",
            "warning" if seen else "note",
            f"{found} cannot use a GPU: {said['fault']}",
            f"--device cuda is an error for {_users('onnxruntime')}.",
        )
    return _finding("onnxruntime", "ok", f"{found} opens sessions on CUDA")


def _tensorflow(machine: Machine, seen: bool) -> Finding | None:
    """By its distribution: importing TensorFlow takes seconds."""
    package = machine.package("tensorflow-cpu")
    if package is None:
        return None
    remedy = "pip uninstall --yes tensorflow-cpu && pip install 'tensorflow[and-cuda]'"
    return _cpu_build("tensorflow", f"TensorFlow {package.version}", remedy, seen)


def _users(module: str) -> str:
    """Name the built-in detectors that this library runs on a GPU."""
    adapters = {spec.name: spec.adapter for spec in map(resolve, default_specs())}
    found = [
        name
        for name, adapter in adapters.items()
        if "cuda" in adapter.info.devices and module in (adapter.info.package, *adapter.requires)
    ]
    return " and ".join(filter(None, (", ".join(found[:-1]), *found[-1:])))


def _cpu_build(check: str, found: str, remedy: str, seen: bool) -> Finding:
    if not seen:
        return _finding(check, "ok", f"{found} is a CPU build{_NONE_LOST}")
    meaning = f"{_users(check)} cannot be measured with --device cuda."
    return _finding(check, "warning", f"{found} is a CPU build", meaning, remedy)


def _number(text: str, otherwise: float = 0.0) -> float:
    """The number that nvidia-smi wrote; some GPUs do not tell all of them ("[N/A]")."""
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else otherwise
