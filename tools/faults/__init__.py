"""What facebench does when something goes wrong around it, tried out and counted.

`python -m facebench.tools.faults all` prints the tables of docs/reliability.md.
"""

from .table import Row, markdown, problems

__all__ = ["Row", "markdown", "problems"]
