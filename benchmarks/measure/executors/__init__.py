"""Where the images of a run are worked on side by side: children of this machine, or actors of a Ray cluster."""

from .base import Executor, Worker, WorkerSlot
from .choice import create_executor
from .local import LocalExecutor
from .ray import RayExecutor

__all__ = ["Executor", "LocalExecutor", "RayExecutor", "Worker", "WorkerSlot", "create_executor"]
