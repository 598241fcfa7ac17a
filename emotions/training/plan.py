"""What goes into a training and what comes out: the plan, the images, a report for each epoch, and the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, UsageError
from .augment import Augmentation
from .networks import CLASS_COUNT

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """All that decides a training beside its images.

    Attributes:
        network: a name in `networks.NETWORKS`.
        epochs: length of the one-cycle schedule.
        batch_size: images a step; the rest of an epoch that fills no batch is left out.
        shards: parts that a batch is cut into, on a CPU a thread each; batch normalisation and mixup see one part at
            a time, so the number is part of the result.
        optimiser: "sgd" (Nesterov, momentum 0.9) or "adamw".
        peak_learning_rate: the top of the cycle.
        warm_up: share of the schedule before the top.
        weight_decay: on convolution and linear weights alone.
        label_smoothing: share of each target that is spread over all classes.
        mixup: alpha of the Beta distribution; 0 turns it off.
        mixup_until: share of the schedule after which images are no longer mixed.
        average_decay: of the moving average of the weights, a step.
        teaching: share of each target that the teachers' mean answer takes, where there are teachers.
        patience: epochs without a better PublicTest accuracy after which training stops; 0: never.
        seed: of everything random.
        augmentation: how images are changed.
    """

    network: str = "residual-4"
    epochs: int = 80
    batch_size: int = 64
    shards: int = 2
    optimiser: str = "sgd"
    peak_learning_rate: float = 0.05
    warm_up: float = 0.15
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    mixup: float = 0.2
    mixup_until: float = 0.85
    average_decay: float = 0.999
    teaching: float = 0.0
    patience: int = 0
    seed: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Check what would fail late or silently.

        Raises:
            UsageError: a value is out of its range.
        """
        if self.epochs < 1 or self.shards < 1 or self.batch_size < 2 * self.shards or self.batch_size % self.shards:
            raise UsageError(
                f"got epochs={self.epochs}, batch_size={self.batch_size}, shards={self.shards}; expected at least 1 "
                "epoch, 1 shard, 2 images a shard, and a batch that the shards divide"
            )
        if self.optimiser not in ("sgd", "adamw"):
            raise UsageError(f"got optimiser={self.optimiser!r}, expected 'sgd' or 'adamw'")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Images to learn from or to be scored on.

    Attributes:
        images: uint8 (n, 48, 48), grey.
        labels: integers (n,) in 0..6.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            DataError: the arrays do not fit together, or there is no image.
        """
        n = len(self.labels)
        if n == 0 or self.images.dtype != np.uint8 or self.images.ndim != 3 or len(self.images) != n:
            raise DataError(
                f"got images {self.images.dtype} {self.images.shape} and {n} labels, expected uint8 (n, height, width) "
                "and n labels, n > 0"
            )
        if not 0 <= int(self.labels.min()) <= int(self.labels.max()) < CLASS_COUNT:
            raise DataError(f"got labels {self.labels.min()}..{self.labels.max()}, expected 0..{CLASS_COUNT - 1}")


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What one epoch gave.

    Attributes:
        epoch: its number, from 1.
        epochs: how many there are.
        train_loss: mean cross-entropy on the changed images and soft targets.
        public_accuracy: of the averaged weights on PublicTest, 0..1.
        best_accuracy: the best of these so far.
        learning_rate: of the epoch's last step.
        seconds: wall time, the scoring included.
    """

    epoch: int
    epochs: int
    train_loss: float
    public_accuracy: float
    best_accuracy: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """What a training gave.

    Attributes:
        plan: what was asked for.
        network: the averaged weights with the best PublicTest accuracy, in evaluation mode on the CPU.
        best_epoch: the epoch that they come from.
        log: a report for each epoch, those before a resumption included.
    """

    plan: TrainingPlan
    network: nn.Sequential
    best_epoch: int
    log: tuple[EpochReport, ...]


Observer = Callable[[EpochReport], None]


def learning_rate(plan: TrainingPlan, progress: float) -> float:
    """Return the learning rate at a share of the schedule: a straight rise, then half a cosine down to nothing.

    >>> plan = TrainingPlan(peak_learning_rate=0.1, warm_up=0.2)
    >>> [round(learning_rate(plan, at), 4) for at in (0.0, 0.1, 0.2, 0.6, 1.0)]
    [0.004, 0.052, 0.1, 0.05, 0.0]
    """
    peak = plan.peak_learning_rate
    if progress < plan.warm_up:
        return peak * (0.04 + 0.96 * progress / plan.warm_up)
    return peak * (1 + math.cos(math.pi * (progress - plan.warm_up) / (1 - plan.warm_up))) / 2
