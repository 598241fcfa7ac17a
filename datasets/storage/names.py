"""What the name of a file says: whether it is an image, and whether a system left it."""

from __future__ import annotations

import os

from ..images import FORMATS

IMAGE_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
_VIDEOS = """
.3g2 .3gp .asf .avi .flv .h264 .hevc .m2ts .m4v .mjpeg .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob .webm .wmv"""
_FILES = """
.txt .md .rst .html .htm .xml .json .jsonl .csv .tsv .yaml .yml .toml .ini .cfg .log .py .ipynb .sh .lst .names .cache
.db .pdf .doc .docx .xls .xlsx .ppt .pptx .psd .svg .npy .npz .mat .pkl .parquet .arrow .h5 .hdf5 .onnx .pt .pth
.weights .caffemodel .prototxt .tflite .zip .tar .gz .tgz .bz2 .xz .7z .rar .mp3 .wav .m4a .aac .aae .xmp .thm .lrv"""
# which begin like a TIFF, with a small preview
_CAMERA_RAW = """
.3fr .arw .cr2 .cr3 .dcr .dng .erf .iiq .kdc .mrw .nef .nrw .orf .pef .raf .rw2 .rwl .sr2 .srf .srw .x3f"""
VIDEO_SUFFIXES = frozenset(_VIDEOS.split())
OTHER_SUFFIXES = VIDEO_SUFFIXES.union(_FILES.split(), _CAMERA_RAW.split())
"""Of files that are not images, and are not opened to find that out."""
COPY_SUFFIX = ".faces.jpg"
"""The end of the names of copies that `facebench detect` writes."""
COPY_MARK = b"a copy by facebench detect"
"""The comment in each, by which a later call knows it."""
_LITTER = frozenset((".ds_store", "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin"))


def is_image(path: str) -> bool:
    """Tell whether a file is an image, by its name."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122  called for every file, and often


def is_litter(name: str) -> bool:
    """Tell whether a file or folder is one that macOS, Windows or a storage system leaves beside others.

    >>> is_litter("._a.jpg"), is_litter("__MACOSX"), is_litter("Thumbs.db"), is_litter(".a.jpg")
    (True, True, True, False)
    """
    return name.startswith("._") or name.lower() in _LITTER


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is hidden, or litter; folders are listed without such.

    >>> is_hidden(".git"), is_hidden("Thumbs.db"), is_hidden("a.jpg"), is_hidden("..")
    (True, True, False, False)
    """
    return (name.startswith(".") and name not in (".", "..")) or name.lower() in _LITTER
