"""The hash of the code that a result comes from: a module and all that it leads to, found by reading imports.

Every import that can run is followed: also those inside functions, not those under `if TYPE_CHECKING`. They are read
with `ast`, so nothing is imported for the answer. What a text names at run time, as in `create("yunet")`, is not seen.

Inside facebench, a name that is taken from an `__init__.py` is followed to the module that it comes from, and the
`__init__.py` does not count: it hands names on, and importing facebench changes nothing. Otherwise
`from ..detectors import create` would stand for every module that is named there. Elsewhere the `__init__.py` of each
package on the way counts, as Python runs it.

The module of a third party is followed inside its own top-level package and into facebench; where it does not lie in
`site-packages`, also into the modules beside it. Other packages stand in a cell by their versions.

Comments, docstrings and layout are left out: nothing is measured again for a word of explanation.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

_OURS = __name__.partition(".")[0]
MEASURING = (f"{_OURS}.benchmarks.measure.worker", f"{_OURS}.datasets.images")
"""What belongs to every cell: the child, which sets threads, resizes and holds the clock; the decoder of the images.

The parent does not: the threads that it asks for are read back in the child, which refuses more.
"""

_WITHOUT_EFFECT = frozenset(
    f"{_OURS}.{module}"
    for module in (
        # what is said when something fails
        "errors",
        "importable",
        # how the bytes of a model or an image come here: their hashes are in the key
        "downloads",
        "detectors.models.store",
        "detectors.models.sources",
        "datasets.base",
        # how a spec is read: what comes out of it, name and parameters, is in the key
        "detectors.registry",
    )
)
"""Reached, and left out of the hash; what these import counts unless it is named here too."""

_Import = tuple[str, str]
"""A module's full name, and what is taken from it; "" for the module itself."""


@dataclass(frozen=True, slots=True)
class _Code:
    """What one file says.

    Attributes:
        digest: of what it does.
        imports: those that can run.
        handed_on: name -> where an import in this file takes it from, for type checkers alone too.
    """

    digest: str
    imports: Sequence[_Import] = ()
    handed_on: Mapping[str, _Import] = field(default_factory=dict)


def code_digest(module: str, *others: str) -> str:
    """Hash a module and all that it leads to.

    Compiled code counts by its bytes, and what it imports is not known; a module without a file has nothing to count.
    Files are read at each call, so that an edit is seen; the same text is parsed once.

    Args:
        module: full name; imported already, unless it is one of facebench.
        others: modules of facebench that count too.

    Returns:
        16 hexadecimal digits, the same for every version of Python.
    """
    whole = hashlib.sha256()
    for name, digest in sorted(_Closure(module).of((module, *others)).items()):
        whole.update(f"{name} {digest}\n".encode())
    return whole.hexdigest()[:16]


class _Closure:
    """The modules that a module leads to."""

    def __init__(self, module: str) -> None:
        own = module.partition(".")[0]
        self._roots = {name: getattr(sys.modules.get(name), "__spec__", None) for name in (own, _OURS)}
        self._beside = [] if own == _OURS else _own_folder(self._roots[own])
        self._found: dict[str, ModuleSpec | None] = {}

    def of(self, modules: Sequence[str]) -> dict[str, str]:
        """Return module -> digest of these and of all that they import."""
        digests: dict[str, str] = {}
        seen: set[_Import] = set()
        waiting: list[_Import] = [(module, "") for module in modules]
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            module, name = one
            spec = self._find(module)
            if spec is None:
                continue
            package = spec.submodule_search_locations is not None
            if package and name and self._find(f"{module}.{name}"):
                waiting.append((f"{module}.{name}", ""))
                continue
            counts = module not in _WITHOUT_EFFECT
            code = _read(spec, counts)
            if package and name in code.handed_on:
                waiting.append(code.handed_on[name])
                continue
            if counts:
                digests[module] = code.digest
            waiting += code.imports
            if module.partition(".")[0] != _OURS and "." in module:
                waiting.append((module.rpartition(".")[0], ""))
        return digests

    def _find(self, module: str) -> ModuleSpec | None:
        """Return where a module is, without importing it; None where it does not count."""
        if module not in self._found:
            self._found[module] = self._look_for(module)
        return self._found[module]

    def _look_for(self, module: str) -> ModuleSpec | None:
        if module in self._roots:
            return self._roots[module]
        parent = module.rpartition(".")[0]
        if not parent:
            return PathFinder.find_spec(module, self._beside)
        above = self._find(parent)
        places = above and above.submodule_search_locations
        return PathFinder.find_spec(module, list(places)) if places else None


def _own_folder(spec: ModuleSpec | None) -> list[str]:
    """Return the folder that a top-level module lies in; nothing where that is for installed packages."""
    if spec is None or not spec.has_location or spec.origin is None:
        return []
    file = Path(spec.origin)
    folder = file.parents[0 if spec.submodule_search_locations is None else 1]
    return [] if folder.name in ("site-packages", "dist-packages") else [str(folder)]


def _read(spec: ModuleSpec, counts: bool) -> _Code:
    package = spec.name if spec.submodule_search_locations is not None else spec.name.rpartition(".")[0]
    loader: Any = spec.loader
    for read, argument in (("get_source", spec.name), ("get_data", spec.origin)):
        try:
            content = getattr(loader, read)(argument)
        except (AttributeError, ImportError, OSError, SyntaxError, UnicodeError):
            continue
        if content is not None:
            return _parse(content, package, counts)
    return _parse(b"", package, counts)


@lru_cache(maxsize=1024)
def _parse(content: str | bytes, package: str, counts: bool) -> _Code:
    """Read a file of a package; bytes are compiled code. Where only the imports matter, the digest is ""."""
    try:
        if isinstance(content, bytes):
            return _Code(hashlib.sha256(content).hexdigest())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an escape that Python does not know; it has said so on import
            tree = ast.parse(content)
        digest = hashlib.sha256(repr(_essence(tree)).encode()).hexdigest() if counts else ""
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # not for this Python, or too deep: it counts as it stands
        assert isinstance(content, str)
        return _Code(hashlib.sha256(content.encode(errors="replace")).hexdigest())
    imports: list[_Import] = []
    handed_on: dict[str, _Import] = {}
    waiting: list[tuple[ast.AST, bool]] = [(tree, True)]
    while waiting:
        node, runs = waiting.pop()
        match node:
            case ast.Import():
                imports += [(alias.name, "") for alias in node.names if runs]
            case ast.ImportFrom():
                try:
                    module = importlib.util.resolve_name("." * node.level + (node.module or ""), package or None)
                except ImportError:  # above the top-level package; it cannot run either
                    continue
                imports += [(module, alias.name) for alias in node.names if runs]
                handed_on |= {alias.asname or alias.name: (module, alias.name) for alias in node.names}
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                waiting += [*((one, False) for one in node.body), *((one, runs) for one in node.orelse)]
            case _:
                waiting += [(one, runs) for one in ast.iter_child_nodes(node) if not isinstance(one, ast.expr)]
    return _Code(digest, imports, handed_on)


def _essence(node: Any) -> Any:
    """Return a syntax tree as nested tuples, without texts that do nothing.

    Empty fields are left out, since versions of Python differ in which there are, and so is `ctx`, which follows from
    the place of a name.
    """
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if name != "ctx" and value not in (None, [])]
        return type(node).__name__, *[(name, _essence(value)) for name, value in fields]
    if isinstance(node, list):
        return tuple([_essence(one) for one in node if not _is_bare_text(one)])
    return node


def _is_bare_text(node: Any) -> bool:
    """Whether a statement is a docstring, of whatever."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
