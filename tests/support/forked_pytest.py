"""Runs pytest in a fork for every line that it reads, so that imports are paid for once: `python forked_pytest.py`.

A line is JSON, [arguments, file of the output]; the answer is the exit code on a line of its own.
"""

from __future__ import annotations

import json
import os
import sys

import facebench.benchmarks.compare.runs
import facebench.benchmarks.measure.runner  # noqa: F401  # what a fork would import otherwise
import pytest

for line in sys.stdin:
    arguments, output = json.loads(line)
    child = os.fork()
    if child == 0:
        file = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, sys.stdout.fileno())
        os.dup2(file, sys.stderr.fileno())
        code = pytest.main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
