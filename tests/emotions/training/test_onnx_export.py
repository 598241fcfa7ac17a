"""The exported file: it answers as PyTorch does, for any number of faces, and a file that does not is not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from facebench.emotions.pipeline.classifier import EMOTIONS, EmotionClassifier  # noqa: E402
from facebench.emotions.training import onnx_export as module  # noqa: E402
from facebench.emotions.training.networks import CLASS_COUNT, NETWORKS, Standardise, create_network  # noqa: E402
from facebench.emotions.training.onnx_export import export, largest_difference  # noqa: E402
from facebench.emotions.training.ship import TEACHERS  # noqa: E402
from facebench.errors import ContractError  # noqa: E402


@pytest.fixture
def faces() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (5, 48, 48)).astype(np.uint8)


def lived_in(name: str) -> torch.nn.Sequential:
    """A network whose batch normalisations have statistics that are not 0 and 1, and no zeros as factors."""
    torch.manual_seed(1)
    network = create_network(name)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(part.weight, 1, 2)
            torch.nn.init.normal_(part.bias, 0, 0.3)
    return network.eval()


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in TEACHERS])
def test_it_answers_as_pytorch_does(tmp_path: Path, name: str, faces: np.ndarray) -> None:
    network, path = lived_in(name), tmp_path / "e.onnx"
    faces[0] = 77  # blank
    difference = export(network, path, faces, classes=EMOTIONS)
    assert difference <= 1e-4
    classifier = EmotionClassifier(path, name="e")
    with torch.inference_mode():
        expected = network(torch.from_numpy(faces).float()[:, None]).softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 100 * difference  # the answers differ between faces by far more
    for count in (1, 2, 5):
        np.testing.assert_allclose(classifier.classify_grey(faces[:count]), expected[:count], atol=1e-4)


def test_the_file_names_its_classes_and_has_no_batch_normalisation_left(tmp_path: Path, faces: np.ndarray) -> None:
    path = tmp_path / "e.onnx"
    export(lived_in("residual-4"), path, faces, classes=EMOTIONS)
    model = onnx.load(path)
    assert {prop.key: prop.value for prop in model.metadata_props} == {"classes": ",".join(EMOTIONS)}
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_exporting_leaves_the_network_as_it_was(tmp_path: Path, faces: np.ndarray) -> None:
    network = lived_in("plain-5")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export(network, tmp_path / "e.onnx", faces, classes=EMOTIONS)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class Forked(torch.nn.Module):
    """Does something else while it is exported."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (2.0 if torch.onnx.is_in_onnx_export() else 1.0)


def test_a_file_that_answers_otherwise_is_not_written(tmp_path: Path, faces: np.ndarray) -> None:
    torch.manual_seed(0)
    head = [torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten(), torch.nn.Linear(1, CLASS_COUNT)]
    network = torch.nn.Sequential(Standardise(), *head, Forked()).eval()
    with pytest.raises(ContractError, match="differ by"):
        export(network, tmp_path / "e.onnx", faces, classes=EMOTIONS)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_too_large_is_not_written(
    tmp_path: Path, faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAXIMUM_BYTES", 1000)
    with pytest.raises(ContractError, match="at most 1,000"):
        export(lived_in("residual-3"), tmp_path / "e.onnx", faces, classes=EMOTIONS)
    assert not list(tmp_path.iterdir())


def test_the_difference_is_measured(tmp_path: Path, faces: np.ndarray) -> None:
    network, path = lived_in("residual-3"), tmp_path / "e.onnx"
    export(network, path, faces, classes=EMOTIONS)
    with torch.no_grad():
        network[-1].bias[3] += 0.5
    assert largest_difference(path, network, faces) > 0.01
