"""What on this machine would spoil timings, from the files that Linux tells it in."""

from __future__ import annotations

import functools
import re

from ..measure.detector_process import Limits
from .cgroups import cpu_quota, memory_limit
from .facts import Finding, Machine

BUSY_SHARE = 0.5
"""Load average a core from which other programs are likely to sit on the core of a measurement."""
WAITING_PERCENT = 10.0
STEAL_PERCENT = 1.0

_CPUS = "sys/devices/system/cpu"
_VARIABLES = {
    "PYTHONDEVMODE": "slows Python down",
    "PYTHONMALLOC": "replaces Python's memory allocator",
    "MALLOC_PERTURB_": "fills all memory that is freed",
    "LD_PRELOAD": "puts a library into every process",
    "CUDA_LAUNCH_BLOCKING": "makes every GPU kernel wait",
    "OPENCV_CPU_DISABLE": "takes instruction sets from OpenCV",
    "ONEDNN_MAX_CPU_ISA": "limits the instruction sets of PyTorch and TensorFlow",
}
_UNSEEN = "whether it disturbs times cannot be told, as is usual in a virtual machine."

_finding = functools.partial(Finding, "timing")


def timing(machine: Machine) -> list[Finding]:
    """Look for what would spoil timings; on other systems than Linux there is nothing to look at."""
    if machine.system != "Linux":
        meaning = "facebench pins detectors to cores on Linux only: times vary more here, and threads are not bounded."
        return [_finding("system", "warning", f"{machine.system}, not Linux", meaning)]
    checks = (
        *(_cores, _quota, _load, _stolen, _kinds_of_cores, _governor, _turbo, _siblings, _throttling, _mains),
        *(_memory, _swap, _variables),
    )
    findings = (check(machine) for check in checks)
    return [finding for finding in findings if finding is not None]


def _cores(machine: Machine) -> Finding:
    usable, online = len(machine.cores), _online(machine)
    found = f"{usable} of {online} cores can be used" if usable < online else f"cores that can be used: {usable}"
    if usable == 1:
        meaning = "the measuring program and the detector take turns on one core: waiting counts as detection."
        return _finding("cores", "warning", found, meaning)
    if usable < online:
        meaning = f"--threads goes up to {usable}; other programs may run on these cores all the same."
        return _finding("cores", "note", found, meaning)
    return _finding("cores", "ok", found)


def _quota(machine: Machine) -> Finding:
    quota = cpu_quota(machine)
    if quota is None:
        return _finding("cpu-quota", "ok", "no control group limits processor time")
    throttled = "" if quota.throttled is None else f"; it has been stopped {quota.throttled:,} times"
    found = f"a control group gives {quota.cores:g} cores' time, {len(machine.cores)} can be used{throttled}"
    if quota.cores >= len(machine.cores):
        return _finding("cpu-quota", "ok", found)
    meaning = (
        "a program that has used up its share stands still until the next period, mostly 100 ms: p90 and p99 are those "
        "of the limit. Give the container or service no limit, or whole cores (a cpuset)."
    )
    return _finding("cpu-quota", "warning", found, meaning)


def _load(machine: Machine) -> Finding | None:
    first = (machine.read("proc/loadavg") or "").partition(" ")[0]
    if not _is_number(first):
        return None
    load, cores = float(first), _online(machine)
    found = f"load average {load:.2f} on {cores} core{'s' * (cores > 1)}"
    waiting = re.match(r"some avg10=([\d.]+)", machine.read("proc/pressure/cpu") or "")
    percent = float(waiting[1]) if waiting else 0.0
    if waiting:
        found += f"; in {percent:.0f} % of the last 10 s a program waited for a core"
    if load < BUSY_SHARE * cores and percent < WAITING_PERCENT:
        return _finding("load", "ok", found)
    meaning = (
        "other programs share cores, caches and memory: latencies come out too long, and compare only where base and "
        "head take turns (--interleave). Let them finish or stop them."
    )
    return _finding("load", "warning", found, meaning)


def _stolen(machine: Machine) -> Finding | None:
    fields = (machine.read("proc/stat") or "").partition("\n")[0].split()[1:9]
    ticks = [int(field) for field in fields if field.isdecimal()]
    total = sum(ticks)
    percent = 100 * ticks[7] / total if len(ticks) == 8 and total else 0.0
    virtual = re.search(r"^flags\s*:.*\bhypervisor\b", machine.read("proc/cpuinfo") or "", re.MULTILINE)
    if percent >= STEAL_PERCENT:
        meaning = "other guests of the same host take time from detectors: repeat with --rounds, compare in one job."
        return _finding("virtual-machine", "warning", f"the host has kept {percent:.1f} % of the time", meaning)
    if virtual:
        meaning = "neighbours on the host cannot be seen, and the next machine of the kind may be faster or slower."
        return _finding("virtual-machine", "note", f"a virtual machine; the host kept {percent:.1f} %", meaning)
    return None


def _kinds_of_cores(machine: Machine) -> Finding | None:
    numbers = {core: machine.number(f"{_CPUS}/cpu{core}/cpu_capacity") for core in machine.cores}
    capacities = {core: capacity for core, capacity in numbers.items() if capacity}
    if not capacities or min(capacities.values()) >= 0.9 * max(capacities.values()):
        return None
    best = [str(core) for core, capacity in capacities.items() if capacity >= 0.9 * max(capacities.values())]
    meaning = "detectors are pinned to the last cores, whatever their kind: thread counts and machines do not compare."
    remedy = f"taskset --cpu-list {','.join(best)} facebench run"
    return _finding(
        "kinds-of-cores", "warning", f"{len(best)} of {len(capacities)} cores are fast ones", meaning, remedy
    )


def _governor(machine: Machine) -> Finding:
    files = (f"{_CPUS}/cpu{core}/cpufreq/scaling_governor" for core in machine.cores)
    governors = sorted({governor for file in files if (governor := machine.read(file))})
    if not governors:
        return _finding("governor", "note", "the clock governor cannot be read", _UNSEEN)
    found = f"clock governor {', '.join(governors)}"
    if governors == ["performance"]:
        return _finding("governor", "ok", found)
    meaning = "cores clock up only under load: the first images, and detectors with pauses, are timed too slow."
    remedy = f"echo performance | sudo tee /{_CPUS}/cpu*/cpufreq/scaling_governor"
    return _finding("governor", "warning", found, meaning, remedy)


def _turbo(machine: Machine) -> Finding:
    for file, on in (("intel_pstate/no_turbo", 0), ("cpufreq/boost", 1)):
        value = machine.number(f"{_CPUS}/{file}")
        if value == on:
            meaning = "the clock depends on heat and on busy neighbours; rounds in turn even this out."
            remedy = f"echo {1 - on} | sudo tee /{_CPUS}/{file}"
            return _finding("turbo", "note", "turbo is on", meaning, remedy)
        if value is not None:
            return _finding("turbo", "ok", "turbo is off")
    return _finding("turbo", "note", "whether turbo is on cannot be read", _UNSEEN)


def _siblings(machine: Machine) -> Finding:
    active = machine.number(f"{_CPUS}/smt/active")
    if active is None:
        return _finding("smt", "note", "whether cores run two threads (SMT) cannot be read", _UNSEEN)
    if not active:
        return _finding("smt", "ok", "no core runs two threads (SMT)")
    meaning = "a pinned detector shares its core with whatever runs on the other half of it."
    remedy = f"echo off | sudo tee /{_CPUS}/smt/control"
    return _finding("smt", "note", "cores run two threads each (SMT)", meaning, remedy)


def _throttling(machine: Machine) -> Finding | None:
    counts = [
        count
        for path in machine.paths(f"{_CPUS}/cpu[0-9]*/thermal_throttle/*_throttle_count")
        if (count := machine.number(path.relative_to(machine.root))) is not None
    ]
    if not counts:
        return None
    if not max(counts):
        return _finding("throttling", "ok", "never slowed down by heat since the start")
    meaning = "times of a hot machine are too long; a count that grows during a run says that it was."
    return _finding("throttling", "note", f"slowed down by heat {max(counts):,} times since the start", meaning)


def _mains(machine: Machine) -> Finding | None:
    supplies = [path.parent.relative_to(machine.root) for path in machine.paths("sys/class/power_supply/*/type")]
    mains = [machine.number(supply / "online") for supply in supplies if machine.read(supply / "type") == "Mains"]
    if not mains or any(mains):
        return None
    return _finding("power", "warning", "runs on battery", "laptops clock down without mains: plug it in.")


def _memory(machine: Machine) -> Finding | None:
    limit_mb = Limits().memory_mb
    available = _meminfo_mb(machine, "MemAvailable")
    group = memory_limit(machine)
    if available is None:
        return None
    room, what = available, f"{available:,.0f} MB of memory are free"
    if group is not None and group / 2**20 < available:
        room, what = group / 2**20, f"a control group allows {group / 2**20:,.0f} MB of memory"
    if room >= limit_mb:
        return _finding("memory", "ok", what)
    meaning = (
        f"a detector may hold {limit_mb:,.0f} MB by default: one that grows so large is ended by the system, or pages "
        "out, before facebench ends it and says why."
    )
    remedy = f"facebench run --memory-limit {max(int(room * 0.8), 1)}"
    return _finding("memory", "warning", what, meaning, remedy)


def _swap(machine: Machine) -> Finding | None:
    total, free = _meminfo_mb(machine, "SwapTotal"), _meminfo_mb(machine, "SwapFree")
    if total is None or free is None:
        return None
    if total - free < 1:
        return _finding("swap", "ok", "no swap is in use")
    found = f"{total - free:,.0f} MB of swap are in use"
    if (_meminfo_mb(machine, "MemAvailable") or 0) >= Limits().memory_mb:
        return _finding("swap", "note", found, "there is memory enough; what sleeps out there does not hurt.")
    meaning = "memory is short: an image or model that has to be read back from disk is timed with it."
    return _finding("swap", "warning", found, meaning)


def _variables(machine: Machine) -> Finding | None:
    found = [name for name in _VARIABLES if machine.environment.get(name, "").strip() not in ("", "0")]
    if not found:
        return None
    meaning = "; ".join(f"{name} {_VARIABLES[name]}" for name in found) + ". Detectors inherit it."
    return _finding("variables", "warning", f"{', '.join(found)} set", meaning, f"unset {' '.join(found)}")


def _online(machine: Machine) -> int:
    """How many cores the machine has running, of which this process may be allowed a part."""
    text = machine.read(f"{_CPUS}/online") or ""
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        return len(machine.cores)
    ranges = [part.split("-") for part in text.split(",")]
    return sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges)


def _meminfo_mb(machine: Machine, name: str) -> float | None:
    found = re.search(rf"^{name}:\s+(\d+) kB$", machine.read("proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) / 1024 if found else None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None
