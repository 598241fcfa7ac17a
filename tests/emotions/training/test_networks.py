"""The networks: what they may cost, what standardising undoes, what a blank image gives."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from facebench.emotions.training.networks import NETWORKS, Standardise, create_network  # noqa: E402
from facebench.emotions.training.ship import TEACHERS  # noqa: E402
from facebench.errors import UsageError  # noqa: E402


def multiplications(network: torch.nn.Module) -> int:
    total = 0

    def add(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(add)
    network.eval()(torch.zeros(1, 1, 48, 48))
    return total


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in TEACHERS])
def test_each_network_is_small_enough_to_ship_and_to_be_fast_but_those_that_teach(name: str) -> None:
    network = create_network(name)
    assert multiplications(network) <= 50_000_000
    assert 4 * sum(weight.numel() for weight in network.parameters()) <= 8_000_000


@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_gives_seven_logits_that_do_not_depend_on_the_neighbours(name: str) -> None:
    torch.manual_seed(0)
    network = create_network(name).eval()
    faces = torch.randint(0, 256, (3, 1, 48, 48)).float()
    with torch.inference_mode():
        together, alone = network(faces), torch.cat([network(face[None]) for face in faces])
    assert together.shape == (3, 7)
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_brightness_and_contrast_do_not_matter(name: str) -> None:
    torch.manual_seed(0)
    network = create_network(name).eval()
    face = torch.randint(50, 150, (1, 1, 48, 48)).float()
    with torch.inference_mode():
        torch.testing.assert_close(network(face), network(0.5 * face + 90), atol=1e-4, rtol=1e-4)


def test_a_image_has_mean_0_and_deviation_1() -> None:
    got = Standardise()(torch.randint(0, 256, (5, 1, 48, 48)).float())
    torch.testing.assert_close(got.mean((1, 2, 3)), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(got.std((1, 2, 3), correction=0), torch.ones(5))


def test_a_blank_image_gives_zeros_and_faint_noise_stays_faint() -> None:
    blank = torch.full((1, 1, 48, 48), 200.0)
    assert Standardise()(blank).abs().max() == 0
    blank[0, 0, 0, 0] += 1
    assert Standardise()(blank).abs().max() < 0.26


def test_an_unknown_name_is_told_with_the_near_one() -> None:
    with pytest.raises(UsageError, match="plain-5"):
        create_network("plain5")
