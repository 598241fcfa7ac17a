"""Archives with what a test puts in."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path


def tar(path: Path, *members: tuple[str, bytes], mode: str = "w", **special: object) -> Path:
    """A tar of plain files; a name that ends in a slash is a folder, `special` changes the last member."""
    with tarfile.open(path, mode) as archive:
        for number, (name, content) in enumerate(members, start=1):
            info = tarfile.TarInfo(name.rstrip("/"))
            info.size = len(content)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            if number == len(members):
                for key, value in special.items():
                    setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return path


def zipped(path: Path, *members: tuple[str, bytes], attributes: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, attributes
            archive.writestr(info, content)
    return path
