"""A node of a Ray cluster killed in the middle of a run: no image lost, none stored twice."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ...benchmarks.measure.executors import create_executor
from ...benchmarks.measure.plan import NullObserver, Plan
from ...benchmarks.measure.runner import run
from ...benchmarks.store.run_folder import RunFolder
from ...datasets import load
from ...detectors import resolve_all
from .command import LONGEST_S
from .command import run as run_command
from .detector import SPEC
from .images import write_small
from .inspection import faults_of_result
from .table import Row

NODES = 4
_IMAGES = 160
_PAUSE_MS = 60


class _KillsANode(NullObserver):
    """Waits at the first image until every node has a worker; kills a node, not the head, after so many images."""

    def __init__(self, cluster: Any, nodes: list[Any], after: int) -> None:
        self._cluster, self._nodes, self._after = cluster, nodes, after
        self._done = 0
        self.workers_there = 0

    def image_done(self) -> None:
        self._done += 1
        if self._done == 1:
            self.workers_there = _wait_for_workers()
        if self._done == self._after and self.workers_there == NODES:
            held = _nodes_with_actors()
            victim = next(node for node in self._nodes if node.node_id in held)
            self._cluster.remove_node(victim, allow_graceful=False)


def nodes(scratch: Path, *, times: int = 3, seed: int = 1) -> list[Row]:
    """Run on a simulated cluster of four nodes and kill one that holds a worker and is not the head.

    Args:
        scratch: an empty folder.
        times: how often, each on a cluster of its own.
        seed: of the images and of the instant.
    """
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        # a machine that does much else starts nodes slowly, and its full memory is not a fault of ours
        "RAY_gcs_server_port_wait_time_s": str(int(LONGEST_S)),
        "RAY_memory_monitor_refresh_ms": "0",
    }
    data = write_small(scratch / "pictures", _IMAGES, seed)
    spec = f"{SPEC}:calls={scratch / 'calls'},pause_ms={_PAUSE_MS}"
    random = np.random.default_rng(seed)
    (scratch / "calls").mkdir()
    one_child = ["run", "--dataset", f"folder:{data}", "--detectors", spec, "--executor", "local:1"]
    run_command([*one_child, "--out", str(scratch / "one-child")])
    began, faults, again, kills, broken = time.perf_counter(), list[str](), list[int](), 0, 0
    for number in range(times):
        (scratch / "calls" / "calls").unlink(missing_ok=True)
        out = scratch / f"cluster-{number}"
        kills += _on_a_cluster(data, spec, out, int(random.integers(_IMAGES // 5, _IMAGES // 2)))
        found = faults_of_result(out, scratch / "one-child") + _faults_of_rows(out)
        broken += bool(found)
        faults += found
        calls = Counter((scratch / "calls" / "calls").read_text(encoding="utf-8").split())
        again.append(sum(calls.values()) - len(calls))
        if len(calls) != _IMAGES:
            faults.append(f"lost: {len(calls)} of {_IMAGES} images were given to a detector")
    if kills != times:
        faults.append(f"only {kills} of {times} nodes could be killed with a worker on every node: no finding")
    seen = (
        f"{kills} nodes killed; of {_IMAGES} images {', '.join(map(str, again))} were detected once more; "
        f"equal to the run of one child, each image once: {times - broken}"
    )
    done = f"a node of {NODES} killed in the middle of a run (`--executor ray`)"
    return [Row(done, times, seen, tuple(faults), time.perf_counter() - began)]


def _on_a_cluster(data: Path, spec: str, out: Path, after: int) -> int:
    """Run on a cluster that loses a node; return how many nodes were killed."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        others = [cluster.add_node(num_cpus=1, wait=False) for _ in range(NODES - 1)]
        cluster.wait_for_nodes(LONGEST_S)
        executor = create_executor(f"ray:workers={NODES},address={cluster.address}")
        observer = _KillsANode(cluster, others, after)
        try:
            plan = Plan(load(f"folder:{data}"), resolve_all([spec]), rounds=0, executor=executor)
            run(plan, out, observer)
        finally:
            executor.close()
    finally:
        cluster.shutdown()
    return int(observer.workers_there == NODES)


def _wait_for_workers() -> int:
    """Wait until every node has a worker; return how many have one."""
    deadline = time.perf_counter() + LONGEST_S
    while len(held := _nodes_with_actors()) < NODES and time.perf_counter() < deadline:
        time.sleep(0.05)
    return len(held)


def _nodes_with_actors() -> set[str]:
    from ray._private import state

    return {actor["Address"]["NodeID"] for actor in state.actors().values() if actor["State"] == "ALIVE"}


def _faults_of_rows(out: Path) -> list[str]:
    """Say what stands twice in the detections of a run."""
    folder = RunFolder.open(out)
    rows = folder.detections(folder.cells[0])
    twice = int(rows.duplicated().sum())
    return [f"doubled: {twice} detections"] if twice else []
