"""What the choice of a detector is for: emotions on the faces found.

Public names are loaded when they are first used; torch is needed for training alone.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .pipeline.classifier import EMOTIONS as EMOTIONS
    from .pipeline.classifier import EmotionClassifier as EmotionClassifier
    from .pipeline.classifier import create_classifier as create_classifier
    from .pipeline.crops import CropPolicy as CropPolicy
    from .pipeline.crops import crop as crop
    from .pipeline.pipeline import EmotionPipeline as EmotionPipeline
    from .pipeline.pipeline import FaceEmotions as FaceEmotions
    from .pipeline.tracks import TrackerOptions as TrackerOptions
    from .pipeline.video import VideoProgress as VideoProgress
    from .pipeline.video import VideoReport as VideoReport
    from .pipeline.video import process_video as process_video
    from .scoring.classification import ClassificationReport as ClassificationReport
    from .scoring.classification import classification_report as classification_report
    from .scoring.evaluation import evaluate as evaluate
    from .scoring.score_run import score_run as score_run

_HOME = {
    "EMOTIONS": "pipeline.classifier",
    "ClassificationReport": "scoring.classification",
    "CropPolicy": "pipeline.crops",
    "EmotionClassifier": "pipeline.classifier",
    "EmotionPipeline": "pipeline.pipeline",
    "FaceEmotions": "pipeline.pipeline",
    "TrackerOptions": "pipeline.tracks",
    "VideoProgress": "pipeline.video",
    "VideoReport": "pipeline.video",
    "classification_report": "scoring.classification",
    "create_classifier": "pipeline.classifier",
    "crop": "pipeline.crops",
    "evaluate": "scoring.evaluation",
    "process_video": "pipeline.video",
    "score_run": "scoring.score_run",
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
