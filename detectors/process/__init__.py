"""What a process says of itself: devices, threads, work that goes on, and what it must not share.

`devices` and `finished` look at a detector from outside, and are imported by their names.
"""

from .per_process import PerProcess, ProcessLock, lost_its_threads, refuse_fork
from .thread_counts import check_threads, own_process

__all__ = ["PerProcess", "ProcessLock", "check_threads", "lost_its_threads", "own_process", "refuse_fork"]
