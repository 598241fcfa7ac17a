"""What of this machine and this installation would spoil results, and how to fix it: `facebench doctor`."""

from .examination import examine, to_json, worst
from .facts import Finding, Level, Machine

__all__ = ["Finding", "Level", "Machine", "examine", "to_json", "worst"]
