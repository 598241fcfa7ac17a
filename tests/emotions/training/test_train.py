"""Training on a few easy images: it learns, it goes on where it stopped to the last bit, and it refuses bad input."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from facebench.emotions.training import train as module  # noqa: E402
from facebench.emotions.training.augment import Augmentation  # noqa: E402
from facebench.emotions.training.networks import residual  # noqa: E402
from facebench.emotions.training.plan import (  # noqa: E402
    EpochReport,
    LabelledImages,
    TrainingPlan,
    learning_rate,
)
from facebench.emotions.training.train import predict, train  # noqa: E402
from facebench.errors import DataError, DeviceError, UsageError  # noqa: E402
from facebench.tests.support.small_fer import stripes  # noqa: E402

PLAN = TrainingPlan(network="tiny", epochs=4, batch_size=16, peak_learning_rate=0.05, average_decay=0.9, seed=3)


@pytest.fixture(autouse=True)
def _tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "create_network", lambda _: residual(stem=8, widths=(8, 16), blocks=(1, 1)))


class StopError(Exception):
    pass


def stop_after(epoch: int):
    def observer(report: EpochReport) -> None:
        if report.epoch == epoch:
            raise StopError

    return observer


class Answering(torch.nn.Module):
    """Gives every image the same logits: 9 for one class, 0 for the others."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(9.0 * torch.eye(7)[label])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(images), 7)


def answering(label: int) -> torch.nn.Module:
    return Answering(label).eval()


def weights(result) -> dict[str, torch.Tensor]:
    return result.network.state_dict()


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(weights(a).values(), weights(b).values(), strict=True))


def test_it_learns_what_is_easy() -> None:
    plan = dataclasses.replace(PLAN, epochs=8, mixup=0, augmentation=Augmentation(0, 0, 0, 0, 0, 0, 0, 0))
    result = train(plan, stripes(), stripes(30, seed=1))
    assert result.log[-1].public_accuracy == 1.0
    assert result.log[-1].train_loss < result.log[0].train_loss - 0.3
    fresh = stripes(30, seed=2)
    assert (predict(result.network, fresh.images).argmax(1).numpy() == fresh.labels).all()


def test_the_same_plan_gives_the_same_weights_and_another_seed_others() -> None:
    a, b = (train(PLAN, stripes(), stripes(9)) for _ in range(2))
    assert same(a, b)
    assert [dataclasses.replace(report, seconds=0) for report in a.log] == [
        dataclasses.replace(report, seconds=0) for report in b.log
    ]
    assert not same(a, train(dataclasses.replace(PLAN, seed=4), stripes(), stripes(9)))


@pytest.mark.parametrize("stopped_after", [1, 2, 3], ids=lambda n: f"stopped after {n} of 4 epochs")
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path, stopped_after: int) -> None:
    """Mixing ends near the end, so each part of the schedule is crossed; a teacher answers in all of them."""
    plan, teachers = dataclasses.replace(PLAN, teaching=0.5), [answering(1)]
    whole = train(plan, stripes(), stripes(9), teachers=teachers)
    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(StopError):
        train(
            plan,
            stripes(),
            stripes(9),
            teachers=teachers,
            checkpoint=checkpoint,
            observer=stop_after(stopped_after),
        )
    seen: list[int] = []
    resumed = train(
        plan,
        stripes(),
        stripes(9),
        teachers=teachers,
        checkpoint=checkpoint,
        observer=lambda report: seen.append(report.epoch),
    )
    assert seen == list(range(stopped_after + 1, 5))
    assert same(whole, resumed)
    assert whole.best_epoch == resumed.best_epoch
    assert [report.train_loss for report in whole.log] == [report.train_loss for report in resumed.log]


def test_a_finished_training_is_not_run_again(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, epochs=1)
    first = train(plan, stripes(), stripes(9), checkpoint=tmp_path / "c")
    again = train(plan, stripes(), stripes(9), checkpoint=tmp_path / "c", observer=stop_after(1))
    assert same(first, again)


@pytest.mark.parametrize(
    ("plan", "training", "says"),
    [
        pytest.param(dataclasses.replace(PLAN, epochs=5), stripes(), "another plan", id="another plan"),
        pytest.param(PLAN, stripes(51), "other images", id="more images"),
        pytest.param(PLAN, stripes(seed=7), "other images", id="as many other images"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    tmp_path: Path, plan: TrainingPlan, training: LabelledImages, says: str
) -> None:
    checkpoint = tmp_path / "c"
    with pytest.raises(StopError):
        train(PLAN, stripes(), stripes(9), checkpoint=checkpoint, observer=stop_after(1))
    with pytest.raises(UsageError, match=says):
        train(plan, training, stripes(9), checkpoint=checkpoint)


def test_an_ended_training_keeps_its_result_alone(tmp_path: Path) -> None:
    with pytest.raises(StopError):
        train(PLAN, stripes(), stripes(9), checkpoint=tmp_path / "c", observer=stop_after(2))
    assert "running" in torch.load(tmp_path / "c", weights_only=True)
    train(PLAN, stripes(), stripes(9), checkpoint=tmp_path / "c")
    assert "running" not in torch.load(tmp_path / "c", weights_only=True)


def test_a_checkpoint_of_another_version_says_so(tmp_path: Path) -> None:
    train(dataclasses.replace(PLAN, epochs=1), stripes(), stripes(9), checkpoint=tmp_path / "c")
    content = torch.load(tmp_path / "c", weights_only=True)
    torch.save({**content, "version": 2}, tmp_path / "c")
    with pytest.raises(UsageError, match="has version 2, expected 3"):
        train(dataclasses.replace(PLAN, epochs=1), stripes(), stripes(9), checkpoint=tmp_path / "c")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore:The AccumulateGrad node", "ignore:Attempting to run cuBLAS")
@pytest.mark.parametrize("taught", [False, True], ids=["alone", "taught"])
def test_recorded_kernels_train_as_others_do(monkeypatch: pytest.MonkeyPatch, taught: bool) -> None:
    plan = dataclasses.replace(PLAN, teaching=0.5 * taught)
    teachers = [residual(stem=8, widths=(8,), blocks=(1,)).eval().requires_grad_(False)] * taught
    recorded = train(plan, stripes(), stripes(9), teachers=teachers, device="cuda")
    monkeypatch.setattr(module._State, "_record", lambda _: None)
    plain = train(plan, stripes(), stripes(9), teachers=teachers, device="cuda")
    for one, other in zip(recorded.log, plain.log, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, abs=2e-3)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04cut"], ids=["empty", "text", "cut zip"])
def test_a_broken_checkpoint_is_told(tmp_path: Path, content: bytes) -> None:
    checkpoint = tmp_path / "c"
    checkpoint.write_bytes(content)
    with pytest.raises(UsageError, match="is not a checkpoint"):
        train(PLAN, stripes(), stripes(9), checkpoint=checkpoint)


def test_patience_ends_it_and_the_best_epoch_is_kept() -> None:
    """A public set whose labels are all of a class that is never shown: no epoch is better than the first."""
    hopeless = LabelledImages(stripes(9).images, np.full(9, 6))
    plan = dataclasses.replace(PLAN, epochs=9, patience=2, peak_learning_rate=0.2)
    result = train(plan, stripes(), hopeless)
    accuracies = [report.public_accuracy for report in result.log]
    assert result.best_epoch == 1 + int(np.argmax(accuracies))
    assert len(result.log) == result.best_epoch + 2 < 9
    assert result.log[-1].best_accuracy == max(accuracies)


def test_the_kept_weights_are_those_of_the_best_epoch() -> None:
    public = stripes(30, seed=1)
    result = train(PLAN, stripes(), public)
    accuracy = float((predict(result.network, public.images, fast=True).argmax(1).numpy() == public.labels).mean())
    assert accuracy == result.log[result.best_epoch - 1].public_accuracy == result.log[-1].best_accuracy


def test_two_shards_see_the_whole_batch() -> None:
    """Without batch statistics or draws, the gradients of two halves add up to those of the batch."""
    quiet = Augmentation(0, 0, 0, 0, 0, 0, 0, 0)
    plan = dataclasses.replace(PLAN, mixup=0, augmentation=quiet)
    gradients = []
    for shards in (1, 2):
        with module._State(dataclasses.replace(plan, shards=shards), stripes(), stripes(9), "cpu") as state:
            for network in state.replicas:
                network.eval()
                network.train = lambda *_, network=network: network
            state.optimiser.step = lambda: None
            state._step(torch.arange(16), 0.0, [torch.Generator()] * shards)
            gradients.append([weight.grad for weight in state.network.parameters()])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, atol=2e-3, rtol=2e-2)  # bfloat16


def test_teachers_are_followed_as_far_as_the_plan_says() -> None:
    """The loss falls to the entropy of the target: 2 to 1 where three teachers speak alone, 1 to 1 with labels."""
    plan = dataclasses.replace(PLAN, epochs=40, mixup=0, label_smoothing=0, peak_learning_rate=0.3, teaching=1.0)
    teachers = [answering(5), answering(5), answering(6)]
    alone = train(plan, stripes(), stripes(9), teachers=teachers)
    assert alone.log[-1].train_loss == pytest.approx(-math.log(2 / 3) * 2 / 3 - math.log(1 / 3) / 3, abs=0.03)
    shared = train(dataclasses.replace(plan, teaching=0.5), stripes(), stripes(9), teachers=[answering(6)])
    assert shared.log[-1].train_loss == pytest.approx(math.log(2), abs=0.1)


def test_a_teacher_is_left_as_it_was() -> None:
    teacher = answering(5)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    train(dataclasses.replace(PLAN, epochs=1, teaching=0.5), stripes(), stripes(9), teachers=[teacher])
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert all(weight.grad is None for weight in teacher.parameters())


@pytest.mark.parametrize(
    ("teaching", "teachers", "says"),
    [
        pytest.param(0.5, [], "teaching=0.5 and 0 teachers", id="a share without a teacher"),
        pytest.param(0.0, [answering(1)], "teaching=0 and 1 teachers", id="a teacher without a share"),
    ],
)
def test_teachers_and_their_share_come_together(teaching: float, teachers: list[torch.nn.Module], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        train(dataclasses.replace(PLAN, teaching=teaching), stripes(), stripes(9), teachers=teachers)


def test_a_checkpoint_that_other_teachers_led_to_is_refused(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, teaching=0.5)
    with pytest.raises(StopError):
        train(
            plan,
            stripes(),
            stripes(9),
            teachers=[answering(1)],
            checkpoint=tmp_path / "c",
            observer=stop_after(1),
        )
    with pytest.raises(UsageError, match="other teachers"):
        train(plan, stripes(), stripes(9), teachers=[answering(2)], checkpoint=tmp_path / "c")


def test_nothing_global_is_left_changed() -> None:
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(dataclasses.replace(PLAN, epochs=1), stripes(), stripes(9))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads


def test_the_clock_is_the_callers() -> None:
    ticks = itertools.count(step=5.0)
    result = train(dataclasses.replace(PLAN, epochs=2), stripes(), stripes(9), clock=lambda: next(ticks))
    assert [report.seconds for report in result.log] == [5.0, 5.0]


@pytest.mark.parametrize("warm_up", [0.1, 0.3])
def test_the_learning_rate_rises_and_falls_once(warm_up: float) -> None:
    plan = TrainingPlan(peak_learning_rate=0.5, warm_up=warm_up)
    rates = [learning_rate(plan, at) for at in np.linspace(0, 1, 101)]
    top = int(np.argmax(rates))
    assert top == round(warm_up * 100)
    assert max(rates) == pytest.approx(0.5)
    assert all(a < b for a, b in itertools.pairwise(rates[: top + 1]))
    assert all(a > b for a, b in itertools.pairwise(rates[top:]))
    assert math.isclose(rates[-1], 0, abs_tol=1e-9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"epochs": 0}, "epochs=0", id="no epoch"),
        pytest.param({"batch_size": 2}, "batch_size=2", id="a shard of one image has no batch statistics"),
        pytest.param({"batch_size": 9}, "divide", id="shards do not divide the batch"),
        pytest.param({"shards": 0}, "shards=0", id="no shard"),
        pytest.param({"optimiser": "adam"}, "'sgd' or 'adamw'", id="an unknown optimiser"),
    ],
)
def test_a_bad_plan_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        dataclasses.replace(PLAN, **change)


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        pytest.param(np.zeros((0, 48, 48), np.uint8), np.zeros(0, int), "n > 0", id="no image"),
        pytest.param(np.zeros((2, 48, 48), np.float32), np.zeros(2, int), "float32", id="no bytes"),
        pytest.param(np.zeros((2, 48, 48), np.uint8), np.zeros(3, int), "3 labels", id="another number of labels"),
        pytest.param(np.zeros((2, 48, 48, 3), np.uint8), np.zeros(2, int), "48, 3", id="colour"),
        pytest.param(np.zeros((2, 48, 48), np.uint8), np.array([0, 7]), "0..6", id="an eighth class"),
    ],
)
def test_bad_images_are_refused(images: np.ndarray, labels: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=says):
        LabelledImages(images, labels)


def test_fewer_images_than_a_batch_are_refused() -> None:
    with pytest.raises(DataError, match="12 training images"):
        train(PLAN, stripes(12), stripes(9))


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
@pytest.mark.parametrize("device", ["cuda", "tpu"])
def test_a_device_that_is_not_there_is_no_silent_fall_back(device: str) -> None:
    with pytest.raises(DeviceError, match=device):
        train(PLAN, stripes(), stripes(9), device=device)
