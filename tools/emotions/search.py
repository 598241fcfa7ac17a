"""The search for the shipped network: short trials under one protocol, and the rule that takes the winner.

The protocol, fixed before the first trial of the table ran: every trial trains for `TRIAL_EPOCHS` epochs through its
own complete one-cycle schedule, with the same seed, the same images and the same augmentation, and is scored by the
PublicTest accuracy of its averaged weights after the last epoch. First the networks compete under one recipe, then the
recipes on the network that won. In each round the highest accuracy wins; of equal ones, the one that stands first.

Mixup, label smoothing and the strength of augmentation are not part of the search: they pay in long trainings and cost
in short ones, so short trials would choose too little of them. They are set as the papers that `training` cites set
them. What long trainings taught about them stands in docs/emotions.md.

Before this search another one was begun and thrown away: with batches of 128, stronger augmentation and blocks that
start at zero, `residual-4` had reached 44.5 % after its four epochs. Batch size, learning rates, augmentation and the
start of the blocks were then set on the training loss of some ten runs of 150 to 300 steps, and the search began again.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...errors import DataError, UsageError

if TYPE_CHECKING:
    from ...emotions.training.plan import EpochReport, LabelledImages, TrainingPlan

TABLE = Path(__file__).parent / "logs" / "trials.jsonl"
"""The search that chose the network that comes with facebench."""
TRIAL_EPOCHS = 4
TRIAL_SEED = 1

NETWORK_ROUND = ("residual-4", "residual-3", "plain-5")
"""The networks that compete, under the recipe `sgd`."""

RECIPES: MappingProxyType[str, MappingProxyType[str, Any]] = MappingProxyType(
    {
        "sgd": MappingProxyType({}),
        "adamw": MappingProxyType({"optimiser": "adamw", "peak_learning_rate": 2e-3, "weight_decay": 0.05}),
    }
)
"""What each recipe changes in `TrainingPlan`; they compete on the network that won."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One line of the table.

    Attributes:
        network: a name in `networks.NETWORKS`.
        recipe: a name in `RECIPES`.
        epochs: how long it trained.
        seed: of everything random.
        public_accuracy: PublicTest accuracy of the averaged weights after the last epoch, 0..1.
        train_loss: of the last epoch.
        parameters: how many weights the network has.
        seconds: wall time of all epochs, on a machine that did other things as well.
    """

    network: str
    recipe: str
    epochs: int
    seed: int
    public_accuracy: float
    train_loss: float
    parameters: int
    seconds: float


def plan_of(network: str, recipe: str, *, epochs: int = TRIAL_EPOCHS, seed: int = TRIAL_SEED) -> TrainingPlan:
    """Return the plan of a network and a recipe.

    Raises:
        UsageError: no recipe is called so.
    """
    from ...emotions.training.plan import TrainingPlan

    if recipe not in RECIPES:
        raise UsageError(f"no recipe is called {recipe!r}; known: {', '.join(RECIPES)}")
    return dataclasses.replace(TrainingPlan(network=network, epochs=epochs, seed=seed), **RECIPES[recipe])


def winner(trials: Iterable[Trial]) -> Trial:
    """Return the trial with the highest PublicTest accuracy, of equal ones the first.

    Raises:
        DataError: there is no trial.
    """
    ranked = sorted(trials, key=lambda trial: -trial.public_accuracy)
    if not ranked:
        raise DataError("got no trial to choose from, expected at least one; run the search first")
    return ranked[0]


def search(
    training: LabelledImages,
    public: LabelledImages,
    table: Path,
    *,
    networks: Sequence[str] = NETWORK_ROUND,
    recipes: Sequence[str] = tuple(RECIPES),
    epochs: int = TRIAL_EPOCHS,
    device: str = "cpu",
    observer: Callable[[str, EpochReport], None] | None = None,
) -> Trial:
    """Run both rounds and return the winner; trials that the table holds already are not run again.

    Args:
        training: images to learn from.
        public: PublicTest.
        table: JSON lines, one a trial; each is added when it ends.
        networks: of the first round, under the first recipe.
        recipes: of the second round, on the network that won.
        epochs: of each trial.
        device: "cpu" or "cuda".
        observer: called after each epoch with the name of the trial.

    Raises:
        UsageError: a network or recipe is unknown.
        DataError: the table cannot be read, or there is too little to train on.
    """

    def run(network: str, recipe: str) -> Trial:
        known = {(trial.network, trial.recipe, trial.epochs): trial for trial in read_table(table)}
        if (network, recipe, epochs) not in known:
            trial = _run(network, recipe, training, public, epochs, device, observer)
            with table.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(dataclasses.asdict(trial)) + "\n")
            return trial
        return known[network, recipe, epochs]

    best = winner([run(network, recipes[0]) for network in networks])
    return winner([best, *(run(best.network, recipe) for recipe in recipes[1:])])


def read_table(table: Path) -> tuple[Trial, ...]:
    """Return the trials of a table in their order; none where the file is not there.

    Raises:
        DataError: a line is not a trial.
    """
    trials = []
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            trials.append(Trial(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{table}:{number}: got no trial ({error}), expected a JSON object with "
                f"{', '.join(field.name for field in dataclasses.fields(Trial))}"
            ) from error
    return tuple(trials)


def _run(
    network: str,
    recipe: str,
    training: LabelledImages,
    public: LabelledImages,
    epochs: int,
    device: str,
    observer: Callable[[str, EpochReport], None] | None,
) -> Trial:
    from ...emotions.training.train import train

    plan = plan_of(network, recipe, epochs=epochs)
    name = f"{network} {recipe}"
    result = train(
        plan,
        training,
        public,
        device=device,
        observer=None if observer is None else lambda report: observer(name, report),
    )
    return Trial(
        network=network,
        recipe=recipe,
        epochs=epochs,
        seed=plan.seed,
        public_accuracy=result.log[-1].public_accuracy,
        train_loss=result.log[-1].train_loss,
        parameters=sum(weight.numel() for weight in result.network.parameters()),
        seconds=round(sum(report.seconds for report in result.log), 1),
    )
