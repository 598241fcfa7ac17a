"""Changes to training images: nothing where all is off, what they claim where one is on, the same from a seed."""

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from facebench.emotions.training.augment import Augmentation, augment, erase, mixup, move, relight  # noqa: E402

OFF = Augmentation(mirror=0, rotation_deg=0, scale=0, stretch=0, shift=0, gamma=0, erase=0, erase_area=0)


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 4) -> torch.Tensor:
    return torch.randint(0, 256, (n, 1, 48, 48), generator=generator(9)).float()


def only(**change: float) -> Augmentation:
    return dataclasses.replace(OFF, **change)


def test_with_all_off_nothing_changes() -> None:
    torch.testing.assert_close(augment(images(), OFF, generator()), images(), atol=1e-2, rtol=0)


def test_mirroring_mirrors() -> None:
    got = move(images(), only(mirror=1), generator())
    torch.testing.assert_close(got, images().flip(3), atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("change", "least", "most"),
    [
        pytest.param({"shift": 0.1}, 0.0, 4.8, id="shift: a tenth of 48 px at most"),
        pytest.param({"rotation_deg": 15}, 0.0, 16 * 0.262 + 0.5, id="rotation: 15 degrees at 16 px from the middle"),
        pytest.param({"scale": 0.2}, 0.0, 16 * 0.2 + 0.5, id="scale: a fifth of 16 px"),
    ],
)
def test_a_spot_moves_no_further_than_allowed(change: dict[str, float], least: float, most: float) -> None:
    """A spot 16 px right of the middle, in 64 draws: its centre of mass moves, and never too far."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    spot = 200 * torch.exp(-((y - 23.5) ** 2 + (x - 39.5) ** 2) / 8)
    moved = move(spot.expand(64, 1, 48, 48), only(**change), generator())[:, 0]
    mass = moved.sum((1, 2))
    dy = (moved * y).sum((1, 2)) / mass - 23.5
    dx = (moved * x).sum((1, 2)) / mass - 39.5
    # where a shift reflects the image at its border, that pulls the centre of mass
    distance = torch.maximum(dy.abs(), dx.abs().clamp(max=most)) if "shift" in change else (dy**2 + dx**2).sqrt()
    assert distance.max() <= most
    assert distance.max() > most / 3
    assert distance.min() < most / 3


def test_relighting_keeps_black_white_and_order() -> None:
    ramp = torch.linspace(0, 255, 48).expand(8, 1, 48, 48)
    got = relight(ramp, only(gamma=0.3), generator())
    torch.testing.assert_close(got[..., [0, -1]], ramp[..., [0, -1]])
    assert (got.diff(dim=3) > 0).all()
    middle = got[:, 0, 0, 24]
    lowest, highest = (255 * (24 / 47) ** exponent for exponent in (1.3, 1 / 1.3))
    assert lowest <= middle.min() < middle.max() <= highest


def test_erasing_covers_at_most_its_area_with_the_mean() -> None:
    before = images(64)
    after = erase(before, only(erase=1, erase_area=0.2), generator())
    changed = (before != after).flatten(1)
    assert 0 < changed.float().mean(1).max() <= 0.2 + 0.03
    assert changed.any(1).float().mean() > 0.9
    for image, original, where in zip(after, before, changed, strict=True):
        if where.any():
            torch.testing.assert_close(image.flatten()[where].unique(), original.mean()[None])


def test_erasing_half_of_the_images() -> None:
    before = images(200)
    changed = (erase(before, only(erase=0.5, erase_area=0.2), generator()) != before).flatten(1).any(1)
    assert 0.35 < changed.float().mean() < 0.65


def test_the_seed_decides() -> None:
    how = Augmentation()
    a, b, c = (augment(images(), how, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert 0 <= a.min() <= a.max() <= 255.01


def test_mixing_mixes_images_and_targets_alike() -> None:
    """Flat halves that tell who they are: the share in the image is the share in the target."""
    one, two = torch.zeros(1, 48, 48), torch.zeros(1, 48, 48)
    one[:, :24], two[:, :, :24] = 255.0, 255.0
    targets = torch.eye(2)
    for seed in range(20):
        mixed, soft = mixup(torch.stack([one, two]), targets, 1.0, generator(seed))
        share = soft[0, 0]
        upper_right, lower_left = mixed[0, 0, 0, 47], mixed[0, 0, 47, 0]
        expected = 2 * share - 1  # only in `one` is the upper right light, only in `two` the lower left
        torch.testing.assert_close((upper_right - lower_left) / 100, expected, atol=0.02, rtol=0)
        torch.testing.assert_close(soft.sum(1), torch.ones(2))


def test_shares_follow_the_beta_distribution() -> None:
    """Beta(0.2, 0.2) has mean 1/2 and variance 1 / (4 (2 * 0.2 + 1))."""
    targets = torch.eye(2)
    random = generator()
    soft = [mixup(images(2), targets, 0.2, random)[1][0, 0] for _ in range(800)]
    shares = torch.stack([share for share in soft if share < 1])  # 1 is mostly an image that met itself
    assert abs(float(torch.minimum(shares, 1 - shares).mean()) - 0.111) < 0.03
