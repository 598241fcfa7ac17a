"""What detectors are measured on: data sets of pictures with annotated faces, and the one decoder."""

from .base import Dataset, Faces, Sample
from .images import Decoded, decode
from .registry import known, load

__all__ = ["Dataset", "Decoded", "Faces", "Sample", "decode", "known", "load"]
