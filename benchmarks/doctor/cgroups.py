"""What the control groups of Linux allow this process: share of the processors and memory.

Read as cgroups(7) and the kernel's admin-guide (cgroup-v1, cgroup-v2) have it: a limit of any group above ours holds
too. Both versions may be mounted beside each other, and a container may see only its part of the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .facts import Machine


@dataclass(frozen=True, slots=True)
class CpuQuota:
    """How much processor time a control group gives.

    Attributes:
        cores: processor seconds a second.
        throttled: how often the group has been stopped because it had used up its share; None where this is not told.
    """

    cores: float
    throttled: int | None


def cpu_quota(machine: Machine) -> CpuQuota | None:
    """Return the smallest share that any group above this process sets; None where none does."""
    quotas = []
    for folder in _groups(machine, "cpu"):
        quota, _, period = (machine.read(folder / "cpu.max") or "").partition(" ")
        if not period:
            quota = machine.read(folder / "cpu.cfs_quota_us") or ""
            period = machine.read(folder / "cpu.cfs_period_us") or ""
        if quota.isdecimal() and period.isdecimal() and int(period):
            quotas.append(CpuQuota(int(quota) / int(period), _throttled(machine, folder)))
    return min(quotas, key=lambda quota: quota.cores, default=None)


def memory_limit(machine: Machine) -> int | None:
    """Return the smallest limit of memory, bytes, that any group above this process sets; None where none does."""
    limits = []
    for folder in _groups(machine, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = machine.number(folder / name)
            if limit is not None and 0 < limit < 1 << 60:  # version 1 writes about 2^63 where there is no limit
                limits.append(limit)
    return min(limits, default=None)


def _throttled(machine: Machine, folder: Path) -> int | None:
    for line in (machine.read(folder / "cpu.stat") or "").splitlines():
        name, _, count = line.partition(" ")
        if name == "nr_throttled" and count.isdecimal():
            return int(count)
    return None


def _groups(machine: Machine, controller: str) -> Iterator[Path]:
    """The folders, relative to the machine's root, of our groups and all above them that are mounted."""
    of_controller: dict[str, str] = {}
    for line in (machine.read("proc/self/cgroup") or "").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        of_controller |= dict.fromkeys(controllers.split(","), path)
    for line in (machine.read("proc/self/mountinfo") or "").splitlines():
        before, dash, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if not dash or len(fields) < 5 or len(kinds) < 3:
            continue
        # version 2 has one tree for all controllers, and no controller in /proc/self/cgroup
        name = {"cgroup2": "", "cgroup": controller}.get(kinds[0])
        if name is None or name not in of_controller or (name and name not in kinds[2].split(",")):
            continue
        mount = PurePosixPath(fields[4]).relative_to("/")
        below = _below(PurePosixPath(of_controller[name]), PurePosixPath(fields[3]))
        for folder in (below, *below.parents):
            yield Path(mount / folder)


def _below(group: PurePosixPath, mounted: PurePosixPath) -> PurePosixPath:
    """The path of a group below what is mounted; the mount itself where the group lies outside of it."""
    if group.is_relative_to(mounted) and ".." not in group.parts:
        return group.relative_to(mounted)
    return PurePosixPath()
