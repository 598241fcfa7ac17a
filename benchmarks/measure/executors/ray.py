"""Workers of a Ray cluster: one actor a worker, each with a detector child of its own on whatever node Ray gives it."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import count
from typing import Any

from ....errors import UnavailableError, UsageError, WorkerDiedError
from .base import ATTEMPTS, IN_FLIGHT, Worker, WorkerSlot
from .local import keep_freed_memory

_PLACE_S = 300.0
"""How long a cluster may leave a run without any worker."""


class RayExecutor:
    """Actors of a Ray cluster.

    Images that are paths must be readable under the same path on every node; archives and addresses of `fsspec` are
    read where the worker runs. facebench and the detector's packages must be installed there in the same versions,
    which each worker checks before its first image.

    Args:
        address: of a running cluster ("auto" finds it; "ray://host:10001" is a client's); empty starts one on this
            machine, which ends with `close`.
        workers: how many actors; 0 for as many as the cluster has room for.
        cpus: processor cores a worker; 0 for the detector's threads.
        gpus: GPUs a worker, such as 0.25, where the run's device is cuda.

    Raises:
        UsageError: a number is out of range.
        UnavailableError: Ray is not installed.
    """

    def __init__(self, *, address: str = "", workers: int = 0, cpus: float = 0.0, gpus: float = 1.0) -> None:
        if workers < 0 or cpus < 0 or gpus <= 0:
            raise UsageError(
                f"got workers={workers}, cpus={cpus:g}, gpus={gpus:g}; expected workers and cpus of at least 0 and "
                "gpus above 0"
            )
        if importlib.util.find_spec("ray") is None:
            raise UnavailableError("--executor ray needs Ray, which is not installed", "pip install 'facebench[ray]'")
        self.workers = workers
        self._address = address
        self._cpus = cpus
        self._gpus = gpus
        self._started = False

    def map(
        self,
        make: Callable[[WorkerSlot], Worker],
        chunks: Iterator[Sequence[Any]],
        *,
        threads: int = 1,
        gpu: bool = False,
    ) -> Generator[Any, None, None]:
        """See `Executor.map`."""
        ray = self._connect()
        cpus, gpus = self._cpus or threads, self._gpus if gpu else 0.0
        workers = self.workers or _room(ray, cpus, gpus)
        actor_class = ray.remote(num_cpus=cpus, num_gpus=gpus, max_restarts=0)(_Actor)
        pool = _ActorPool(ray, lambda index: actor_class.remote(make, WorkerSlot(index)), workers)
        try:
            yield from pool.work(chunks)
        finally:
            pool.dismiss()

    def close(self) -> None:
        """End the cluster that was started here; leave one that was there."""
        if self._started:
            import ray

            ray.shutdown()
            self._started = False

    def _connect(self) -> Any:
        import ray

        if not ray.is_initialized():
            options = {"address": self._address} if self._address else {"include_dashboard": False}
            # a cluster that is started here reports to nobody
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            try:
                with warnings.catch_warnings():
                    # about a change of defaults that touches no worker here
                    warnings.simplefilter("ignore", FutureWarning)
                    ray.init(log_to_driver=False, logging_level="error", **options)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise UsageError(
                    f"cannot reach a Ray cluster at {self._address or 'this machine'}: {error}. Start one with "
                    "'ray start --head', or leave the address out"
                ) from error
            self._started = True
        return ray


class _Actor:
    """Holds one worker. Its constructor runs on the cluster."""

    def __init__(self, make: Callable[[WorkerSlot], Worker], slot: WorkerSlot) -> None:
        keep_freed_memory()
        self._worker = make(slot)

    def ready(self) -> bool:
        return True

    def answer(self, chunk: Sequence[Any]) -> Any:
        return self._worker(chunk)


class _ActorPool:
    """The actors of one `map` and what each of them has in hand.

    An actor gets work once it has its place on a node: one that waits for a place holds up nobody.
    """

    def __init__(self, ray: Any, hire: Callable[[int], Any], workers: int) -> None:
        self._ray = ray
        self._hire = hire
        self._numbers = count()
        self._actors: list[Any] = []
        self._candidates: dict[Any, Any] = {}
        self._waiting: deque[tuple[Sequence[Any], int]] = deque()
        self._in_hand: dict[Any, tuple[Any, Sequence[Any], int]] = {}
        self._more = True
        for _ in range(workers):
            self._apply()

    def _apply(self) -> None:
        actor = self._hire(next(self._numbers))
        self._candidates[actor.ready.remote()] = actor

    def work(self, chunks: Iterator[Sequence[Any]]) -> Iterator[Any]:
        while True:
            self._hand_out(chunks)
            if not (self._more or self._waiting or self._in_hand):
                return
            ready, _ = self._ray.wait(
                [*self._in_hand, *self._candidates], num_returns=1, timeout=None if self._in_hand else _PLACE_S
            )
            if not ready:
                raise WorkerDiedError(
                    f"the cluster gave no worker a place within {_PLACE_S:g} s; see 'ray status' for what it lacks"
                )
            (reference,) = ready
            if reference in self._candidates:
                self._probe_worker(reference)
                continue
            answer = self._take(reference)
            if answer is not None:
                yield answer

    def _hand_out(self, chunks: Iterator[Sequence[Any]]) -> None:
        """Give every actor something to do, and then something to do next."""
        held = dict.fromkeys(self._actors, 0)
        for actor, *_ in self._in_hand.values():
            if actor in held:
                held[actor] += 1
        for level in range(IN_FLIGHT):
            for actor in self._actors:
                if held[actor] > level:
                    continue
                task = self._waiting.popleft() if self._waiting else next(((chunk, 1) for chunk in chunks), None)
                if task is None:
                    self._more = False
                    return
                self._in_hand[actor.answer.remote(task[0])] = actor, *task
                held[actor] += 1

    def _probe_worker(self, reference: Any) -> None:
        actor = self._candidates.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            if not (self._actors or self._candidates):
                raise WorkerDiedError(f"no worker could be started on the cluster: {error}") from error
        else:
            self._actors.append(actor)

    def _take(self, reference: Any) -> Any:
        """Return an answer, or None where its actor is gone: another one applies, and the chunk waits."""
        actor, chunk, attempts = self._in_hand.pop(reference)
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:
            # the worker's own error, without the text of Ray around it
            raise error.cause from error
        except (errors.RayActorError, errors.NodeDiedError, errors.ObjectLostError) as error:
            # a large answer stays on its node until it is fetched, and is lost with it
            if attempts >= ATTEMPTS:
                raise WorkerDiedError(
                    f"a chunk of {len(chunk)} images lost {ATTEMPTS} actors, last by: {error}. See the cluster's "
                    "logs; a node that runs out of memory ends its actors"
                ) from error
            self._waiting.append((chunk, attempts + 1))
            if actor in self._actors:
                self._actors.remove(actor)
                self._apply()
        return None

    def dismiss(self) -> None:
        for actor in (*self._actors, *self._candidates.values()):
            self._ray.kill(actor)


def _room(ray: Any, cpus: float, gpus: float) -> int:
    there = ray.cluster_resources()
    room = min(
        int(there.get("CPU", 0) // cpus) if cpus else 1_000_000, int(there.get("GPU", 0) / gpus) if gpus else 1_000_000
    )
    if room < 1:
        raise UsageError(
            f"a worker needs {cpus:g} processor cores and {gpus:g} GPUs; the cluster has {there.get('CPU', 0):g} and "
            f"{there.get('GPU', 0):g}"
        )
    return room
