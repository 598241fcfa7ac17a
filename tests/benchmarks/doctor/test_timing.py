"""What would spoil timings, with made-up trees of /proc and /sys."""

from __future__ import annotations

import pytest
from facebench.benchmarks.doctor.cgroups import CpuQuota, cpu_quota, memory_limit
from facebench.benchmarks.doctor.timing import timing
from facebench.tests.support.made_up_machine import assert_says, made_up

CPU = "sys/devices/system/cpu"
V2 = {
    "proc/self/cgroup": "0::/user.slice/job",
    "proc/self/mountinfo": "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate",
}
V1 = {
    "proc/self/cgroup": "7:memory:/job\n4:cpu,cpuacct:/job\n0::/job",
    "proc/self/mountinfo": (
        "40 39 0:34 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "41 39 0:35 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "42 39 0:36 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
    ),
}
MEMORY = "MemTotal: 16777216 kB\nMemAvailable: {} kB\nSwapTotal: {} kB\nSwapFree: {} kB"
PLENTY, LITTLE = 8 * 2**20, 2 * 2**20

CHECKS = {
    # cores
    "all cores": ({f"{CPU}/online": "0-1"}, {}, "cores", "ok", "cores that can be used: 2"),
    "a part of the cores": ({f"{CPU}/online": "0-3,8,10-11"}, {}, "cores", "note", "2 of 7 cores"),
    "one core": ({f"{CPU}/online": "0"}, {"cores": (0,)}, "cores", "warning", "used: 1", "take turns"),
    "one core of two": ({f"{CPU}/online": "0-1"}, {"cores": (0,)}, "cores", "warning", "1 of 2 cores", "take turns"),
    "no list of cores": ({}, {"cores": (0, 1, 2)}, "cores", "ok", "used: 3"),
    "an odd list of cores": ({f"{CPU}/online": "?"}, {"cores": (0, 1, 2)}, "cores", "ok", "used: 3"),
    # quota
    "no control groups": ({}, {}, "cpu-quota", "ok", "no control group"),
    "no quota": (V2 | {"sys/fs/cgroup/user.slice/job/cpu.max": "max 100000"}, {}, "cpu-quota", "ok", "no control"),
    "a quota as large as the cores": (
        V2 | {"sys/fs/cgroup/user.slice/job/cpu.max": "200000 100000"}, {}, "cpu-quota", "ok", "2 cores' time",
    ),
    "a quota": (
        V2 | {
            "sys/fs/cgroup/user.slice/job/cpu.max": "150000 100000",
            "sys/fs/cgroup/user.slice/job/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 1234",
        },
        {}, "cpu-quota", "warning", "1.5 cores' time, 2 can be used; it has been stopped 1,234 times",
    ),
    # load
    "no load to read": ({}, {}, "load", None),
    "an idle machine": ({"proc/loadavg": "0.99 1.00 1.00 1/99 1"}, {}, "load", "ok", "0.99 on 2 cores"),
    "a busy machine": ({"proc/loadavg": "1.00 0.00 0.00 1/99 1"}, {}, "load", "warning", "--interleave"),
    "load is the whole machine's": (
        {"proc/loadavg": "1.00 0.00 0.00 1/99 1", f"{CPU}/online": "0-7"}, {}, "load", "ok", "on 8 cores",
    ),
    "programs wait though the load is low": (
        {"proc/loadavg": "0.10 0 0 1/9 1", "proc/pressure/cpu": "some avg10=10.00 avg60=0.00 avg300=0.00 total=1"},
        {}, "load", "warning", "in 10 % of the last 10 s",
    ),
    "few programs wait": (
        {"proc/loadavg": "0.10 0 0 1/9 1", "proc/pressure/cpu": "some avg10=9.99 avg60=0.00 avg300=0.00 total=1"},
        {}, "load", "ok", "0.10",
    ),
    # virtual machines
    "nothing stolen": ({"proc/stat": "cpu  900 0 0 100 0 0 0 0 0 0\ncpu0 1"}, {}, "virtual-machine", None),
    "a virtual machine": (
        {"proc/stat": "cpu  900 0 0 95 0 0 0 5 0 0", "proc/cpuinfo": "model name\t: X\nflags\t\t: fpu hypervisor lm"},
        {}, "virtual-machine", "note", "kept 0.5 %",
    ),
    "stolen time": ({"proc/stat": "cpu  900 0 0 90 0 0 0 10 0 0"}, {}, "virtual-machine", "warning", "kept 1.0 %"),
    "an old kernel without stolen time": ({"proc/stat": "cpu  900 0 0 90"}, {}, "virtual-machine", None),
    # kinds of cores
    "equal cores": (
        {f"{CPU}/cpu0/cpu_capacity": "1024", f"{CPU}/cpu1/cpu_capacity": "1000"}, {}, "kinds-of-cores", None,
    ),
    "fast and slow cores": (
        {f"{CPU}/cpu0/cpu_capacity": "1024", f"{CPU}/cpu1/cpu_capacity": "600"},
        {}, "kinds-of-cores", "warning", "1 of 2", "taskset --cpu-list 0 facebench",
    ),
    "a slow core that is not ours": (
        {f"{CPU}/cpu{i}/cpu_capacity": str(n) for i, n in enumerate((1024, 1024, 600))}, {}, "kinds-of-cores", None,
    ),
    # clock
    "no governor": ({}, {}, "governor", "note", "cannot be read"),
    "performance": (
        {f"{CPU}/cpu{i}/cpufreq/scaling_governor": "performance" for i in (0, 1)}, {}, "governor", "ok", "performance",
    ),
    "one core saves power": (
        {f"{CPU}/cpu0/cpufreq/scaling_governor": "performance", f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave"},
        {}, "governor", "warning", "performance, powersave", "tee /sys/devices/system/cpu/cpu*/cpufreq",
    ),
    "a core that is not ours saves power": (
        {f"{CPU}/cpu{i}/cpufreq/scaling_governor": g for i, g in enumerate(("performance", "performance", "ondemand"))},
        {}, "governor", "ok", "performance",
    ),
    "no word on turbo": ({}, {}, "turbo", "note", "cannot be read"),
    "Intel's turbo on": ({f"{CPU}/intel_pstate/no_turbo": "0"}, {}, "turbo", "note", "turbo is on", "echo 1 |"),
    "Intel's turbo off": ({f"{CPU}/intel_pstate/no_turbo": "1"}, {}, "turbo", "ok", "off"),
    "AMD's boost on": ({f"{CPU}/cpufreq/boost": "1"}, {}, "turbo", "note", "turbo is on", "echo 0 | sudo tee"),
    "AMD's boost off": ({f"{CPU}/cpufreq/boost": "0"}, {}, "turbo", "ok", "off"),
    "no word on SMT": ({}, {}, "smt", "note", "cannot be read"),
    "SMT on": ({f"{CPU}/smt/active": "1"}, {}, "smt", "note", "two threads each", "echo off"),
    "SMT off": ({f"{CPU}/smt/active": "0"}, {}, "smt", "ok", "no core"),
    "no counters of heat": ({}, {}, "throttling", None),
    "never too hot": ({f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "0"}, {}, "throttling", "ok", "never"),
    "too hot": (
        {f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "0",
         f"{CPU}/cpu1/thermal_throttle/package_throttle_count": "1200"},
        {}, "throttling", "note", "1,200 times",
    ),
    # power
    "no power supply": ({}, {}, "power", None),
    "plugged in": (
        {"sys/class/power_supply/AC/type": "Mains", "sys/class/power_supply/AC/online": "1"}, {}, "power", None,
    ),
    "on battery": (
        {"sys/class/power_supply/AC/type": "Mains", "sys/class/power_supply/AC/online": "0",
         "sys/class/power_supply/BAT0/type": "Battery"},
        {}, "power", "warning", "battery",
    ),
    # memory
    "no word on memory": ({}, {}, "memory", None),
    "memory enough": ({"proc/meminfo": MEMORY.format(PLENTY, 0, 0)}, {}, "memory", "ok", "8,192 MB"),
    "exactly the limit": ({"proc/meminfo": MEMORY.format(6 * 2**20, 0, 0)}, {}, "memory", "ok", "6,144 MB"),
    "memory short": (
        {"proc/meminfo": MEMORY.format(LITTLE, 0, 0)}, {}, "memory", "warning", "2,048 MB", "--memory-limit 1638",
    ),
    "a control group with little memory": (
        V2 | {"proc/meminfo": MEMORY.format(PLENTY, 0, 0), "sys/fs/cgroup/user.slice/memory.max": str(2**30)},
        {}, "memory", "warning", "allows 1,024 MB", "--memory-limit 819",
    ),
    "swap unused": ({"proc/meminfo": MEMORY.format(PLENTY, 1000, 1000)}, {}, "swap", "ok", "no swap"),
    "swap in use, memory enough": (
        {"proc/meminfo": MEMORY.format(PLENTY, 2**20, 2**19)}, {}, "swap", "note", "512 MB of swap",
    ),
    "swap in use, memory short": (
        {"proc/meminfo": MEMORY.format(LITTLE, 2**20, 2**19)}, {}, "swap", "warning", "memory is short",
    ),
    # variables
    "no variable": ({}, {"environment": {"PYTHONDEVMODE": "0", "LD_PRELOAD": " "}}, "variables", None),
    "variables that slow down": (
        {}, {"environment": {"PYTHONDEVMODE": "1", "LD_PRELOAD": "x.so"}},
        "variables", "warning", "slows Python down", "unset PYTHONDEVMODE LD_PRELOAD",
    ),
    # systems
    "another system": ({}, {"system": "Darwin"}, "system", "warning", "Darwin, not Linux"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHECKS.values(), ids=CHECKS)
def test_what_is_said(case, tmp_path):
    files, facts, check, level, *words = case
    assert_says(timing(made_up(tmp_path, files, **facts)), check, level, *words)


def test_elsewhere_nothing_else_is_looked_at(tmp_path):
    assert len(timing(made_up(tmp_path, {"proc/loadavg": "9 9 9 1/9 1"}, system="Windows"))) == 1


QUOTAS = {
    "no groups": ({}, None),
    "version 2": (V2 | {"sys/fs/cgroup/user.slice/job/cpu.max": "50000 100000"}, CpuQuota(0.5, None)),
    "a group above sets less": (
        V2 | {
            "sys/fs/cgroup/user.slice/job/cpu.max": "max 100000",
            "sys/fs/cgroup/user.slice/cpu.max": "100000 100000",
            "sys/fs/cgroup/cpu.max": "300000 100000",
        },
        CpuQuota(1.0, None),
    ),
    "version 1": (
        V1 | {
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.stat": "nr_periods 3\nnr_throttled 2\nthrottled_time 1",
        },
        CpuQuota(2.5, 2),
    ),
    "version 1 without": (
        V1 | {
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        },
        None,
    ),
    "a container that sees its own group as the top": (
        {
            "proc/self/cgroup": "0::/docker/abc/inner",
            "proc/self/mountinfo": "29 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup ro",
            "sys/fs/cgroup/cpu.max": "100000 100000",
            "sys/fs/cgroup/inner/cpu.max": "90000 100000",
        },
        CpuQuota(0.9, None),
    ),
    "a group outside of what is mounted": (
        {
            "proc/self/cgroup": "0::/../other",
            "proc/self/mountinfo": "29 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup ro",
            "sys/fs/cgroup/cpu.max": "100000 50000",
        },
        CpuQuota(2.0, None),
    ),
    "nonsense": ({"proc/self/cgroup": "\n:\nx", "proc/self/mountinfo": "x\n1 2 - cgroup2\n\n"}, None),
}  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), QUOTAS.values(), ids=QUOTAS)
def test_quota(files, expected, tmp_path):
    assert cpu_quota(made_up(tmp_path, files)) == expected


LIMITS = {
    "version 2": (V2 | {"sys/fs/cgroup/user.slice/job/memory.max": "1000"}, 1000),
    "version 2 without": (V2 | {"sys/fs/cgroup/user.slice/job/memory.max": "max"}, None),
    "version 1": (V1 | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "2000"}, 2000),
    "version 1 without": (V1 | {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "9223372036854771712"}, None),
    "the smaller of two": (
        V1 | {"sys/fs/cgroup/memory/job/memory.limit_in_bytes": "500", "sys/fs/cgroup/unified/job/memory.max": "400"},
        400,
    ),
}


@pytest.mark.parametrize(("files", "expected"), LIMITS.values(), ids=LIMITS)
def test_memory_limit(files, expected, tmp_path):
    assert memory_limit(made_up(tmp_path, files)) == expected
