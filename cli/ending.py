"""How the command ends where nothing foreseen ended it, and what it does with streams that take no text.

An exception that facebench does not know is exit code 2 and one line, since 1 would say that a check failed; the
traceback goes to a file of its own, or to standard error where FACEBENCH_TRACEBACK is set.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import traceback

from ..safe_text import bounded, visible

_LONGEST = 300


class ReaderGoneError(Exception):
    """Who read our output has gone (`facebench … | head`); not an OSError, of which the frame makes exit code 1."""


def write_what_can_be_written() -> None:
    """Show characters that an output's encoding lacks as their escapes, and do without an output that is closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  for as long as we run
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def unexpected(error: Exception) -> str:
    """Return the one line about an exception that nobody foresaw; its traceback is printed, or kept in a file."""
    text = "".join(traceback.format_exception(error))
    said = bounded(visible(f"{type(error).__name__}: {error}"), _LONGEST)
    if os.environ.get("FACEBENCH_TRACEBACK", "") not in ("", "0"):
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return f"facebench: unexpected {said}"
    try:
        # a random name that was not there before, and for its owner alone
        descriptor, path = tempfile.mkstemp(prefix="facebench-", suffix=".log")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return f"facebench: unexpected {said}. FACEBENCH_TRACEBACK=1 prints the traceback"
    return f"facebench: unexpected {said}. The traceback is in {path}; FACEBENCH_TRACEBACK=1 prints it"


def let_go_of_output() -> None:
    """Flush standard output; where that fails, drop what it holds, or Python would try again and change the code."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
