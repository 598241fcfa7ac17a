"""Reproducible training of the emotion classifier: a plan and two sets of images go in, weights and a log come out.

Everything random comes from the plan's seed and the number of the epoch. A training that was stopped goes on from its
last whole epoch and draws what it would have drawn.

The recipe: one-cycle learning rate (Smith & Topin 2018), label smoothing (Szegedy et al. 2016), mixup in the first part
of the schedule where it is asked for (Zhang et al. 2018), and a moving average of the weights, which is what is scored
and shipped (Polyak & Juditsky 1992). Networks trained before can teach: their mean answer to the very image that is
shown, changed as it is, takes a part of the target (distillation, Hinton et al. 2015; the same view for teacher and
pupil, Beyer et al., CVPR 2022), because a third of FER2013's labels is doubtful.

A step is shared by `shards` threads of one core each. They meet once a step; the threads inside an operator, which
PyTorch would use instead, meet several hundred times, and on a machine that does other things as well each meeting
waits for the slower: a step took seven times as long there. A GPU takes the parts in turn, and starts their kernels by
itself: `cuda_graphs`.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from ...errors import DataError, DeviceError, UsageError
from .augment import augment, mixup
from .cuda_graphs import record_training, recorded
from .networks import CLASS_COUNT, create_network
from .plan import EpochReport, LabelledImages, Observer, TrainingPlan, TrainingResult, learning_rate

CHECKPOINT_VERSION = 3
_SCORING_BATCH = 256
_Network = TypeVar("_Network", bound=nn.Module)
_AVERAGE_EVERY = 4


def train(
    plan: TrainingPlan,
    training: LabelledImages,
    public: LabelledImages,
    *,
    teachers: Sequence[nn.Module] = (),
    checkpoint: Path | None = None,
    device: str = "cpu",
    observer: Observer | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingResult:
    """Train one network.

    Args:
        plan: what to train, and how.
        training: images to learn from; leave repetitions of held-out images out before.
        public: PublicTest, on which the epoch is chosen.
        teachers: trained networks, in evaluation mode; they are left as they are.
        checkpoint: a file that is written after each epoch, and that training goes on from where it is there.
        device: "cpu" or "cuda".
        observer: called after each epoch.
        clock: gives seconds.

    Raises:
        UsageError: the network is unknown, there is a share for teachers without one or the reverse, or the checkpoint
            was written under another plan, by other teachers or on other images.
        DataError: there are fewer images than a batch holds.
        DeviceError: CUDA is asked for and not there.
    """
    if device != "cpu" and not (device == "cuda" and torch.cuda.is_available()):
        raise DeviceError(f"asked to train on {device!r}; this torch {torch.__version__} can use only the CPU here")
    if bool(teachers) != (plan.teaching > 0):
        raise UsageError(f"got teaching={plan.teaching:g} and {len(teachers)} teachers, expected both or neither")
    if len(training.labels) < plan.batch_size:
        raise DataError(f"got {len(training.labels)} training images, expected at least a batch of {plan.batch_size}")
    threads_before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), _State(plan, training, public, device, teachers) as state:
            if checkpoint is not None and checkpoint.exists():
                state.restore(checkpoint)
            while not state.done():
                start = clock()
                state.run_epoch(lambda start=start: clock() - start)  # type: ignore[misc]
                if checkpoint is not None:
                    state.save(checkpoint)
                if observer is not None:
                    observer(state.log[-1])
            return state.result()
    finally:
        torch.set_num_threads(threads_before)


def predict(
    network: nn.Module,
    images: NDArray[np.uint8],
    *,
    device: str = "cpu",
    fast: bool = False,
    pool: Executor | None = None,
) -> Tensor:
    """Return logits, float32 (n, 7) on the CPU.

    Args:
        network: in evaluation mode.
        images: uint8 (n, h, w).
        device: where the network is.
        fast: in bfloat16, which moves an accuracy by some 0.1 points.
        pool: shares the batches among its threads.
    """

    def logits(start: int) -> Tensor:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=fast):
            batch = torch.from_numpy(images[start : start + _SCORING_BATCH]).to(device).float()[:, None]
            output: Tensor = network(batch.to(memory_format=torch.channels_last))
            return output.float().cpu()

    starts = range(0, len(images), _SCORING_BATCH)
    return torch.cat(list(map(logits, starts) if pool is None else pool.map(logits, starts))).clone()


class _State:
    """All that changes during a training, and its way to a file and back."""

    def __init__(
        self,
        plan: TrainingPlan,
        training: LabelledImages,
        public: LabelledImages,
        device: str,
        teachers: Sequence[nn.Module] = (),
    ) -> None:
        self.plan, self.training, self.public, self.device = plan, training, public, device
        torch.manual_seed(plan.seed)
        self.network = _channels_last(create_network(plan.network).to(device))
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.best = {name: value.cpu().clone() for name, value in self.average.state_dict().items()}
        self.best_epoch = 0
        self.log: list[EpochReport] = []
        self.optimiser = _optimiser(plan, self.network)
        self.images = torch.from_numpy(training.images).to(device)
        given = functional.one_hot(torch.from_numpy(training.labels.astype(np.int64)), CLASS_COUNT).float()
        self.targets = (given * (1 - plan.label_smoothing) + plan.label_smoothing / CLASS_COUNT).to(device)
        self.teachers = [_channels_last(copy.deepcopy(one).to(device)) for one in teachers]
        self.fingerprint = self._fingerprint()
        self.steps = len(training.labels) // plan.batch_size
        self.replicas = [self.network, *(self._replica() for _ in range(plan.shards - 1))]
        self.recorded_answers: Callable[[Tensor], Tensor] | None = None
        if device == "cuda":
            self._record()
        workers = plan.shards if device == "cpu" else 1  # a GPU takes one part after the other
        self.pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown()
        self.recorded_answers = None
        for replica in self.replicas:
            replica.__dict__.pop("forward", None)  # a recorded one holds itself, and the memory of its graphs

    def _replica(self) -> nn.Sequential:
        """Return a network with the same weights in the same memory, and gradients and statistics of its own."""
        replica: nn.Sequential = copy.deepcopy(self.network)
        for own, shared in zip(replica.parameters(), self.network.parameters(), strict=True):
            own.data = shared.data
        return replica

    def _record(self) -> None:
        """Let the GPU start its kernels by itself: every part of a batch has the same shape."""
        shape = self.plan.batch_size // self.plan.shards, self.images.shape[-1]
        for replica in self.replicas:
            record_training(replica.train(), *shape)
        if self.teachers:
            self.recorded_answers = recorded(self._answers, *shape)

    def done(self) -> bool:
        """Whether the schedule has ended, or patience has."""
        epoch = len(self.log)
        stale = self.plan.patience and epoch - self.best_epoch >= self.plan.patience
        return epoch >= self.plan.epochs or bool(stale)

    def run_epoch(self, elapsed: Callable[[], float]) -> None:
        """Train for one epoch, score the average and add to the log."""
        epoch = len(self.log)
        seeds = (self.plan.seed * 1_000_003 + epoch * 1009 + shard for shard in range(self.plan.shards + 1))
        order, *shards = (torch.Generator().manual_seed(seed) for seed in seeds)
        chosen = torch.randperm(len(self.targets), generator=order)[: self.steps * self.plan.batch_size]
        losses = [
            self._step(batch, (epoch + step / self.steps) / self.plan.epochs, shards)
            for step, batch in enumerate(torch.split(chosen, self.plan.batch_size))
        ]
        logits = predict(self.average, self.public.images, device=self.device, fast=True, pool=self.pool)
        accuracy = float((logits.argmax(1).numpy() == self.public.labels).mean())
        best = max([accuracy, *(report.public_accuracy for report in self.log)])
        if not self.log or accuracy > self.log[self.best_epoch - 1].public_accuracy:
            self.best_epoch = epoch + 1
            self.best = {name: value.cpu().clone() for name, value in self.average.state_dict().items()}
        report = EpochReport(
            epoch=epoch + 1,
            epochs=self.plan.epochs,
            train_loss=float(torch.stack(losses).mean()),
            public_accuracy=accuracy,
            best_accuracy=best,
            learning_rate=self.optimiser.param_groups[0]["lr"],
            seconds=elapsed(),
        )
        self.log.append(report)

    def _step(self, batch: Tensor, progress: float, random: Sequence[Generator]) -> Tensor:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.plan, progress)
        parts = batch.chunk(self.plan.shards)
        jobs = [
            self.pool.submit(self._differentiate, replica, part, progress, generator)
            for replica, part, generator in zip(self.replicas, parts, random, strict=True)
        ]
        losses = [job.result() for job in jobs]
        for weights in zip(*(replica.parameters() for replica in self.replicas), strict=True):
            first, *others = (weight.grad for weight in weights)
            for gradient in others:
                first.add_(gradient)
            first.div_(len(weights))
        self.optimiser.step()
        self._follow(round(progress * self.plan.epochs * self.steps))
        return torch.stack(losses).mean()

    def _differentiate(self, network: nn.Sequential, part: Tensor, progress: float, random: Generator) -> Tensor:
        """Leave the gradients of one part of a batch in `network` and return its loss."""
        part = part.to(self.device)
        images, targets = self.images[part].float()[:, None], self.targets[part]
        images = augment(images, self.plan.augmentation, random)
        if self.plan.mixup and progress < self.plan.mixup_until:
            images, targets = mixup(images, targets, self.plan.mixup, random)
        images = images.to(memory_format=torch.channels_last)
        if self.teachers:
            targets = targets.lerp((self.recorded_answers or self._answers)(images), self.plan.teaching)
        network.train().zero_grad(set_to_none=True)
        with torch.autocast(self.device, torch.bfloat16, cache_enabled=False):
            logits = network(images)
        loss = functional.cross_entropy(logits.float(), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    @torch.no_grad()
    def _answers(self, images: Tensor) -> Tensor:
        """Return the teachers' mean probabilities (n, 7)."""
        with torch.autocast(self.device, torch.bfloat16, cache_enabled=False):
            answers = [teacher(images).float().softmax(1) for teacher in self.teachers]
        return torch.stack(answers).mean(0)

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the average every few steps; it moves faster at first, when the weights are far from where they end."""
        if step % _AVERAGE_EVERY:
            return
        share = 1 - min(self.plan.average_decay, (1 + step) / (10 + step)) ** _AVERAGE_EVERY
        for kept, new in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, share)
            else:
                kept.copy_(new)

    def _running(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        return {"network": self.network, "average": self.average, "optimiser": self.optimiser}

    def save(self, path: Path) -> None:
        """Write all that going on needs, and of an ended training what it gave; a crash leaves the file before."""
        content: dict[str, Any] = {
            "version": CHECKPOINT_VERSION,
            "plan": dataclasses.asdict(self.plan),
            "pictures": self.fingerprint,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "log": [dataclasses.asdict(report) for report in self.log],
        }
        if not self.done():
            content["running"] = {name: value.state_dict() for name, value in self._running().items()}
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as stream:
            torch.save(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from a file.

        Raises:
            UsageError: it belongs to another training or is not a checkpoint.
        """
        try:
            content = torch.load(path, map_location=self.device, weights_only=True)
            if content["version"] != CHECKPOINT_VERSION:
                raise UsageError(
                    f"{path} has version {content['version']}, expected {CHECKPOINT_VERSION}: another facebench "
                    "wrote it; remove it to begin again"
                )
            if (content["plan"], content["pictures"]) != (dataclasses.asdict(self.plan), self.fingerprint):
                raise UsageError(
                    f"{path} was written under another plan, on other images or by other teachers; "
                    "give the same ones to go on, or another file to begin again"
                )
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, UnpicklingError) as error:
            raise UsageError(f"{path} is not a checkpoint of a training ({error}); remove it to begin again") from error
        for name, value in content.get("running", {}).items():
            self._running()[name].load_state_dict(value)
        self.best = {name: value.cpu() for name, value in content["best"].items()}
        self.best_epoch = content["best_epoch"]
        self.log = [EpochReport(**report) for report in content["log"]]

    def _fingerprint(self) -> list[int]:
        parts = (self.training, self.public)
        sums = [int(part.images.sum(dtype=np.int64)) for part in parts]
        counts = [*(len(part.labels) for part in parts), *sums, *(int(part.labels.sum()) for part in parts)]
        return [*counts, *map(_weights_hash, self.teachers)]

    def result(self) -> TrainingResult:
        """Return the best average."""
        network = create_network(self.plan.network)
        network.load_state_dict(self.best)
        return TrainingResult(self.plan, network.eval(), self.best_epoch, tuple(self.log))


def _optimiser(plan: TrainingPlan, network: nn.Module) -> torch.optim.Optimizer:
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if plan.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=plan.peak_learning_rate, fused=True)
    return torch.optim.SGD(groups, lr=plan.peak_learning_rate, momentum=0.9, nesterov=True, fused=True)


def _weights_hash(network: nn.Module) -> int:
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return int.from_bytes(digest.digest()[:6], "big")


def _channels_last(network: _Network) -> _Network:
    """Lay the weights out as convolutions on a CPU want them."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
