"""What detectors are measured on: data sets of images with annotated faces, and the one decoder."""

from .base import Dataset, Faces, Sample, Source
from .images import Decoded, decode
from .registry import data_root, known, load

__all__ = ["Dataset", "Decoded", "Faces", "Sample", "Source", "data_root", "decode", "known", "load"]
