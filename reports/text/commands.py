"""Commands that a reader may run again; DIR stands for the data's folder."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping

from ...benchmarks.store.run_document import DatasetInfo

_USUAL = {"--size": "original", "--device": "cpu", "--threads": 1, "--rounds": 1, "--seed": 0}


def command(verb: str, what: list[str], dataset: DatasetInfo, options: Mapping[str, object], out: str = "RUN") -> str:
    """Return a command on a data set; options that are None or what they are anyway are left out."""
    name, data = dataset.name, [] if dataset.demo else ["--data", "DIR"]
    if name.startswith("folder:") and "://" not in name:
        base, mark, query = dataset.shown.partition("?")
        name, data = posixpath.join("DIR", *base.split("/")[1:]) + mark + query, []
    given = {name: value for name, value in options.items() if value is not None and value != _USUAL.get(name)}
    words = [word for name, value in given.items() for word in (name, str(value))]
    return shlex.join(["facebench", verb, *what, "--dataset", name, *data, *words, "--out", out])
