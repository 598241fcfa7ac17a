"""Detectors called as their own documentation shows, without facebench: what its latencies are compared with.

A script, not a module: it imports the library alone, so that nothing of ours can be in its times.

    python bare_loops.py NAME IMAGES.npz THREADS CORES [MODEL]

It pins itself, sets the threads, loads, warms up and says "ready". For each number that it reads it calls the library
with that image and prints a line of JSON: milliseconds and number of faces.
"""

from __future__ import annotations

import functools
import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

WARM_UP_CALLS = 4
Call = Callable[[Any], int]
"""Image in, number of faces out; boxes, scores and landmarks are there by then."""


def haar(threads: int, model: str) -> Call:
    """OpenCV's cascade with the parameters that facebench gives it."""
    import cv2

    cv2.setNumThreads(threads)
    folder: str = cv2.data.haarcascades  # type: ignore[attr-defined]
    cascade = cv2.CascadeClassifier(folder + "haarcascade_frontalface_default.xml")

    def call(image: Any) -> int:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        return len(cascade.detectMultiScale3(grey, 1.1, 3, minSize=(20, 20), outputRejectLevels=True)[0])

    return call


def yunet(threads: int, model: str) -> Call:
    """OpenCV's FaceDetectorYN at the size of the image, scores from 0.02 on."""
    import cv2

    cv2.setNumThreads(threads)
    net = cv2.FaceDetectorYN.create(model, "", (320, 320), 0.02, 0.45, 5000)

    def call(image: Any) -> int:
        net.setInputSize((image.shape[1], image.shape[0]))
        found = net.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
        return 0 if found is None else len(found)

    return call


def retinaface_onnx(threads: int, model: str) -> Call:
    """ONNX Runtime with input and decoding written out, suppression by OpenCV; scores from 0.02 on."""
    import cv2
    import numpy as np
    import onnxruntime

    cv2.setNumThreads(threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @functools.cache
    def priors(height: int, width: int) -> Any:
        levels = []
        for step, sides in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512))):
            rows, columns = math.ceil(height / step), math.ceil(width / step)
            y, x, side = np.meshgrid(range(rows), range(columns), sides, indexing="ij")
            level = [(x + 0.5) * step / width, (y + 0.5) * step / height, side / width, side / height]
            levels.append(np.stack(level, axis=-1).reshape(-1, 4))
        return np.concatenate(levels).astype(np.float32)

    def call(image: Any) -> int:
        height, width = image.shape[:2]
        blob = np.empty((1, 3, height, width), dtype=np.float32)
        blob[0] = image[:, :, ::-1].transpose(2, 0, 1)
        blob -= np.array([104.0, 117.0, 123.0], dtype=np.float32)[:, None, None]
        locations, scores, points = session.run(["loc", "conf", "landmarks"], {"input": blob})
        keep = scores[0, :, 1] > 0.02
        prior, location, score = priors(height, width)[keep], locations[0, keep], scores[0, keep, 1]
        centre = prior[:, :2] + 0.1 * location[:, :2] * prior[:, 2:]
        side = prior[:, 2:] * np.exp(0.2 * location[:, 2:])
        boxes = np.hstack([centre - side / 2, side]) * (width, height, width, height)
        kept = cv2.dnn.NMSBoxes(boxes, score, 0.02, 0.4)
        marks = prior[kept, None, :2] + 0.1 * points[0, keep][kept].reshape(-1, 5, 2) * prior[kept, None, 2:]
        found = boxes[kept], score[kept], marks * (width, height)
        return len(found[0])

    return call


def mtcnn(threads: int, model: str) -> Call:
    """The mtcnn package as it is."""
    import tensorflow
    from mtcnn import MTCNN

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    detector = MTCNN(device="CPU:0")

    def call(image: Any) -> int:
        return len(detector.detect_faces(image))

    return call


def main() -> None:
    """Time one of them."""
    name, file, threads, cores, *model = sys.argv[1:]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    for variable in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB"):
        os.environ[f"{variable}_NUM_THREADS"] = threads
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    import numpy as np

    with np.load(file) as stored:
        images = list(stored.values())
    makers = {"haar": haar, "yunet": yunet, "retinaface-onnx": retinaface_onnx, "mtcnn": mtcnn}
    call = makers[name](int(threads), *model or [""])
    for _ in range(WARM_UP_CALLS):
        call(images[0])
    print("ready", flush=True)
    for line in sys.stdin:
        image = images[int(line)]
        began = time.perf_counter_ns()
        faces = call(image)
        print(json.dumps({"ms": (time.perf_counter_ns() - began) / 1e6, "faces": faces}), flush=True)


if __name__ == "__main__":
    main()
