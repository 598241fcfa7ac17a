"""What the choice of a detector is for: emotions on the faces found.

Public names are loaded when they are first used; torch is needed for training alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classifier import EMOTIONS as EMOTIONS
    from .classifier import EmotionClassifier as EmotionClassifier
    from .classifier import create_classifier as create_classifier
    from .crops import CropPolicy as CropPolicy
    from .crops import crop as crop
    from .end_to_end import score_run as score_run
    from .evaluation import evaluate as evaluate
    from .metrics import ClassificationReport as ClassificationReport
    from .metrics import classification_report as classification_report
    from .pipeline import EmotionPipeline as EmotionPipeline
    from .pipeline import FaceEmotions as FaceEmotions
    from .tracks import TrackerOptions as TrackerOptions
    from .video import VideoProgress as VideoProgress
    from .video import VideoReport as VideoReport
    from .video import process_video as process_video

_HOME = {
    "EMOTIONS": "classifier",
    "ClassificationReport": "metrics",
    "CropPolicy": "crops",
    "EmotionClassifier": "classifier",
    "EmotionPipeline": "pipeline",
    "FaceEmotions": "pipeline",
    "TrackerOptions": "tracks",
    "VideoProgress": "video",
    "VideoReport": "video",
    "classification_report": "metrics",
    "create_classifier": "classifier",
    "crop": "crops",
    "evaluate": "evaluation",
    "process_video": "video",
    "score_run": "end_to_end",
}

__all__ = [
    "EMOTIONS",
    "ClassificationReport",
    "CropPolicy",
    "EmotionClassifier",
    "EmotionPipeline",
    "FaceEmotions",
    "TrackerOptions",
    "VideoProgress",
    "VideoReport",
    "classification_report",
    "create_classifier",
    "crop",
    "evaluate",
    "process_video",
    "score_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
