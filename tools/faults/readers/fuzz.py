"""Every reader over damaged files: what it reads, what it refuses, and what it must not do."""

from __future__ import annotations

import contextlib
import random
import resource
import shutil
import signal
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from ....errors import FacebenchError
from ..table import Row
from .damage import damaged
from .samples import Sample, samples, write_images

MOST_S = 5.0
"""Time of a processor for a file of some hundred kilobytes."""
MOST_BYTES = 1 << 30
"""Memory beside what is taken already."""


class _TooLongError(BaseException):
    """No handler of a reader takes it for its own."""


def readers(scratch: Path, *, times: int = 20_000, seed: int = 1, only: str = "") -> list[Row]:
    """Read damaged files, `times` in all, each format in turn.

    Args:
        scratch: an empty folder.
        times: how many files.
        seed: of the damage.
        only: the format with this name alone; "" for all.
    """
    chosen = [one for one in samples() if only in ("", one.name)]
    share = [len(range(number, times, len(chosen))) for number in range(len(chosen))]
    return [_row(scratch / str(n), one, share[n], seed) for n, one in enumerate(chosen)]


def _row(scratch: Path, sample: Sample, times: int, seed: int) -> Row:
    began, read, refused, longest = time.perf_counter(), 0, 0, 0.0
    faults: list[str] = []
    whole = next(iter(sample.files.values()))
    folder = scratch / "set"
    folder.mkdir(parents=True)
    write_images(folder)
    for path, data in sample.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    sample.read(folder)  # the whole file is read, or the damage says nothing
    target = folder / next(iter(sample.files))
    for number in range(times):
        target.write_bytes(damaged(random.Random(f"{seed} {sample.name} {number}"), whole))
        took = time.process_time()
        try:
            with _bounded():
                sample.read(folder)
            read += 1
        except FacebenchError:
            refused += 1
        except _TooLongError:
            faults.append(f"{number}: more than {MOST_S:g} s")
        except MemoryError:
            faults.append(f"{number}: more than {MOST_BYTES:,} bytes")
        except Exception as error:  # noqa: BLE001  each is what must not be
            frame = traceback.extract_tb(error.__traceback__)[-1]
            name = f"{Path(frame.filename).name}:{frame.lineno}"
            faults.append(f"{number}: {type(error).__name__} {str(error)[:80]!r} at {name}")
        longest = max(longest, time.process_time() - took)
    shutil.rmtree(scratch)
    seen = f"read {read:,}, refused {refused:,}; longest {longest:.2f} s"
    return Row(f"damaged files, {sample.name}", times, seen, tuple(faults), time.perf_counter() - began)


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Raise where what is inside takes too much time of the processor, or too much memory."""

    def stop(*_: object) -> None:
        raise _TooLongError

    before, limits = signal.signal(signal.SIGVTALRM, stop), resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_taken() + MOST_BYTES, limits[1]))
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGVTALRM, before)


def _taken() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()
