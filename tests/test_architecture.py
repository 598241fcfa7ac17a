"""The rules of the house, held by tests that walk the tree: who may import whom, and what an import may not do."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from facebench.benchmarks.store import records
from facebench.benchmarks.store.run_document import RunDocument
from facebench.tests.support.paths import ROOT

ORDER = (
    {"errors", "pace", "safe_text"},
    {"importable", "downloads", "supervised"},
    {"detectors", "datasets"},
    {"benchmarks.scoring"},
    {"benchmarks.resampling"},
    {"benchmarks.store"},
    {"benchmarks.timing"},
    {"benchmarks.measure"},
    {"benchmarks.analysis"},
    {"benchmarks.compare", "benchmarks.choose", "benchmarks.exchange"},
    {"benchmarks.stress", "benchmarks.doctor"},
    {"benchmarks"},
    {"emotions"},
    {"reports.values"},
    {"reports.figures"},
    {"reports.text"},
    {"reports.sections"},
    {"reports"},
    {""},
    {"cli"},
    {"tools"},
)
"""Rooms by level: a file imports from lower levels and from its own room, never from a neighbour of the same level.

"" is the package's own `__init__`. A room that is not named here belongs to the one around it.
"""
PRODUCT_ONLY = {"tests", "docs", "tools", "runs", "out", "build", "dist"}
HEAVY = {
    "av", "cv2", "dlib", "face_recognition", "matplotlib", "mediapipe", "mtcnn", "onnx", "onnxruntime", "pandas", "PIL",
    "pyarrow", "scipy", "seaborn", "skimage", "tensorflow", "torch",
}  # fmt: skip


def python_files(root: Path, left_out: set[str]) -> list[Path]:
    """Return every module at any depth but tests; virtual environments and hidden folders hold none."""
    found = []
    for folder, inside, files in os.walk(root):
        inside[:] = [
            name
            for name in inside
            if not (name in left_out and Path(folder) == root)
            and not name.startswith(".")
            and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        found += [Path(folder, name) for name in files if name.endswith(".py")]
    found = [path for path in found if not path.name.startswith(("test_", "conftest"))]
    return sorted(path for path in found if path != root / "setup.py")


MODULES = python_files(ROOT, PRODUCT_ONLY)
"""What is handed out."""
WITH_TOOLS = python_files(ROOT, PRODUCT_ONLY - {"tools"})


def module_name(path: Path, root: Path = ROOT) -> str:
    """Return the dotted name below the package; "" for its own `__init__`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Give the module behind each name that a file imports from the package, wherever in the file it does so."""
    folder = path.relative_to(root).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (*folder[: len(folder) - node.level + 1], *(node.module or "").split("."))
            base = tuple(part for part in base if part)
            for alias in node.names:
                inner = root.joinpath(*base, alias.name)
                found = inner.with_suffix(".py").is_file() or (inner / "__init__.py").is_file()
                yield ".".join((*base, alias.name) if found else base)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(name.partition(".")[0] == "facebench" for name in names), f"{path}: import relatively"


def level(module: str) -> tuple[int, str]:
    """Return the level of a module in `ORDER`, and the room there that it belongs to."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        room = ".".join(parts[:length])
        for number, rooms in enumerate(ORDER):
            if room in rooms:
                return number, room
    raise KeyError(f"{module} is in no room of ORDER")


def upward(root: Path) -> dict[str, set[str]]:
    """Return file -> modules that it imports and may not."""
    found: dict[str, set[str]] = {}
    for path in python_files(root, PRODUCT_ONLY - {"tools"}):
        mine, room = level(module_name(path, root))
        for module in imported(path, root):
            theirs, other = level(module)
            if theirs > mine or (theirs == mine and other != room):
                found.setdefault(str(path.relative_to(root)), set()).add(module)
    return found


def test_nobody_imports_upwards():
    assert upward(ROOT) == {}


@pytest.mark.parametrize(
    ("file", "text", "modules"),
    [
        ("benchmarks/measure/executors/new.py", "from ....emotions import EmotionPipeline", {"emotions"}),
        ("tools/faults/new.py", "def late():\n    from ...tests import main", {"tests"}),
        ("cli/new.py", "def late():\n    from ..tools.faults import main", {"tools.faults"}),
        ("benchmarks/new/deeper/new.py", "from .... import reports", {"reports"}),
        ("datasets/formats/new.py", "if TYPE_CHECKING:\n    from ...detectors import Detector", {"detectors"}),
        ("benchmarks/choose/new.py", "from ..compare.gate import gate", {"benchmarks.compare.gate"}),
        ("benchmarks/measure/executors/new.py", "from ....detectors import create\nfrom ..plan import Plan", set()),
        (".venv/new.py", "from ..cli import main", set()),
        ("my-environment/lib/new.py", "from ...cli import main", set()),
        ("tests/new.py", "import facebench.cli", set()),
    ],
)
def test_an_upward_import_is_seen_wherever_it_is(tmp_path, monkeypatch, file, text, modules):
    monkeypatch.setattr(sys.modules[__name__], "ORDER", (*ORDER, {"tests"}))
    (tmp_path / "my-environment").mkdir()
    (tmp_path / "my-environment" / "pyvenv.cfg").touch()
    for name in (*(module.replace(".", "/") + ".py" for module in modules), file):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert upward(tmp_path) == ({file: modules} if modules else {})


def test_a_folder_without_a_rule_is_seen(tmp_path):
    (tmp_path / "gadgets").mkdir()
    (tmp_path / "gadgets" / "new.py").touch()
    with pytest.raises(KeyError, match="gadgets"):
        upward(tmp_path)


def test_nobody_imports_in_a_circle():
    """What is left of the error below names a circle, module by module."""
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}}).prepare()
    TopologicalSorter({module_name(path): set(imported(path)) for path in WITH_TOOLS}).prepare()


def test_a_room_has_at_most_16_files():
    counts = Counter(str(path.parent.relative_to(ROOT)) for path in WITH_TOOLS)
    assert {folder: count for folder, count in counts.items() if count > 16} == {}


def test_no_two_classes_have_one_name():
    names = Counter(
        node.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in names.items() if count > 1} == set()


def public(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """Give the public names that a module defines, those of methods among them, but commands of the command line."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    classes = [node for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    for node in [*body, *(one for of in classes for one in of.body)]:
        names = [one.id for one in getattr(node, "targets", []) if isinstance(one, ast.Name)]
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names = [] if any(".command(" in ast.unparse(one) for one in node.decorator_list) else [node.name]
        elif isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
            names = [node.target.id]
        yield from ((name, node) for name in names if not name.startswith("_"))


def mentioned(path: Path) -> Iterator[tuple[str, int]]:
    """Give each name that a file uses, with the line: loaded, an attribute, imported, or handed on by a door."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Constant) and path.name == "__init__.py":
            yield str(node.value), node.lineno


def unused(root: Path) -> set[str]:
    """Return file: name of what is public and no product code uses; adapters are found by walking their folder."""
    benches = [path for pattern in ("test_*.py", "conftest.py") for path in (root / "benchmarks").glob(pattern)]
    templates = "".join(one.read_text(encoding="utf-8") for one in (root / "reports").rglob("*.j2"))
    words = set(re.findall(r"\w+", templates))
    modules = python_files(root, PRODUCT_ONLY)
    uses = {path: list(mentioned(path)) for path in [*modules, *benches]}
    files = Counter(name for of in uses.values() for name in {name for name, _ in of})
    return {
        f"{path.relative_to(root)}: {name}"
        for path in modules
        if path.parent.name != "adapters"
        for name, node in public(path)
        if files[name] - any(one == name for one, _ in uses[path]) == 0
        and not any(one == name and not node.lineno <= line <= (node.end_lineno or 0) for one, line in uses[path])
        and name not in words
    }


def test_nothing_is_public_that_no_product_code_uses():
    assert unused(ROOT) == set()


def test_what_nobody_uses_is_seen(tmp_path):
    """What its own definition alone mentions, what a test alone uses, a method; not a door's name, not a command."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "__init__.py").write_text('__all__ = ["handed_on"]', encoding="utf-8")
    text = "LEFT = 1\ndef again(): again()\ndef handed_on(): ...\n@app.command('x')\ndef command(): ...\n"
    (tmp_path / "room" / "one.py").write_text(text + "class Kept:\n    def lost(self): ...\n", encoding="utf-8")
    (tmp_path / "room" / "two.py").write_text("from .one import Kept", encoding="utf-8")
    (tmp_path / "room" / "test_one.py").write_text("from .one import LEFT", encoding="utf-8")
    assert unused(tmp_path) == {"room/one.py: LEFT", "room/one.py: again", "room/one.py: lost"}


def test_no_test_imports_from_a_test():
    found = []
    for path in [path for room in ("tests", "tools", "benchmarks") for path in (ROOT / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                found += [f"{path.name}: {part}" for part in parts if part.startswith(("test_", "conftest"))]
    assert found == []


RECORDS = {
    "cell": records.StoredCell,
    "stored": records.StoredCell,
    "start": records.Start,
    ".document": RunDocument,
}
"""Variable or attribute -> the record behind it. Other files are documents too, so that only the attribute tells."""


def names_of(value: ast.expr) -> set[str]:
    """Return what `RECORDS` may call an expression."""
    match value:
        case ast.Name(id=name):
            return {name}
        case ast.Attribute(attr=name):
            return {name, f".{name}"}
        case ast.Subscript(value=ast.Attribute(attr="cells")):
            return {"cell"}
    return set()


def string_keys(path: Path) -> list[str]:
    """Return where a file reads a field of a record of run.json by a string."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as key)):
                pass
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[ast.Constant(value=str() as key), *_]):
                pass
            case _:
                continue
        for name in names_of(value) & RECORDS.keys():
            fields = dataclasses.fields(RECORDS[name])
            if key in {field.name for field in fields} | {field.metadata.get("key") for field in fields}:
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


def test_no_string_key_is_read_off_a_record_outside_the_store():
    read = {path.relative_to(ROOT): string_keys(path) for path in WITH_TOOLS}
    assert {str(path): keys for path, keys in read.items() if keys and path.parts[:2] != ("benchmarks", "store")} == {}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("row.cell['spec']", True),
        ("cell.get('failed_pictures', {})", True),
        ("f\"{run.cells[0]['status']}\"", True),
        ("self.run.document['dataset']['name']", True),
        ("start.get('score_floor')", True),
        ("row.cell.parameters['size']", False),
        ("grid_cell['text'] + cell['level']", False),
        ("document['dataset']", False),
    ],
)
def test_a_string_key_is_seen_wherever_it_is(tmp_path, text, seen):
    (tmp_path / "new.py").write_text(text, encoding="utf-8")
    assert bool(string_keys(tmp_path / "new.py")) is seen


def test_every_folder_is_in_the_package_and_is_checked():
    """setup.py finds the folders that have an `__init__`; what mypy checks is listed in the Makefile."""
    assert [path for path in MODULES if not (path.parent / "__init__.py").is_file()] == []
    line = next(line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if line[:4] == "OURS")
    checked = [ROOT / name for name in line.partition(":=")[2].split()]
    assert [path for path in MODULES if not any(path.is_relative_to(one) for one in checked)] == []
    assert [one for one in checked if not one.exists()] == []


def test_scoring_needs_numpy_and_scipy_alone():
    roots = set()
    for path in (ROOT / "benchmarks" / "scoring").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                roots.add((node.module or "").partition(".")[0])
    assert roots - set(sys.stdlib_module_names) <= {"numpy", "scipy"}


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that are loaded after `code` ran in a new process."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_facebench_loads_no_heavy_library():
    assert not modules_after("import facebench") & (HEAVY | {"numpy", "rich", "typer"})


@pytest.mark.parametrize("arguments", [None, "--help", "--version", "run --help", "emotions score --help"])
def test_the_command_loads_no_heavy_library_before_it_is_used(arguments):
    run = "pass" if arguments is None else "cli.main()"
    # what the command prints is skipped: it names libraries
    command = (
        "import contextlib, io, sys\nfrom facebench import cli\n"
        f"sys.argv = ['facebench', *{(arguments or '').split()!r}]\n"
        f"with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as printed: {run}\n"
        f"assert bool(printed.getvalue()) is {arguments is not None}"
    )
    assert not modules_after(command) & (HEAVY | {"numpy"})


@pytest.mark.parametrize("package", ["detectors", "datasets", "benchmarks.scoring"])
def test_a_package_loads_no_heavy_library(package):
    assert not modules_after(f"import facebench.{package}") & HEAVY


def test_only_a_download_pays_for_the_libraries_of_http():
    assert "ssl" not in modules_after("import facebench.datasets.storage.places, facebench.detectors.models.store")


def test_importing_every_module_changes_no_global_state():
    """No thread count, environment variable, logging or warnings filter is touched by an import."""
    names = [f"facebench.{module_name(path)}" for path in MODULES if path.parent != ROOT or path.stem != "__init__"]
    # the two that only make sense inside their process or beside their library
    names = [name for name in names if not name.endswith(("__init__", "retinaface_network"))]
    script = (
        "import importlib, logging, os, warnings\n"
        "before = (dict(os.environ), logging.root.handlers[:], logging.root.level)\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert before == (dict(os.environ), logging.root.handlers[:], logging.root.level)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["facebench", "facebench.benchmarks", "facebench.emotions"])
def test_public_names_are_all_there(name):
    door = importlib.import_module(name)
    assert set(door.__all__) - {"__version__"} == set(door._HOME)
    for public in door.__all__:
        assert getattr(door, public) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = door.nonsense


@pytest.mark.parametrize("path", [path for path in MODULES if ">>>" in path.read_text(encoding="utf-8")], ids=str)
def test_examples_in_docstrings(path):
    name = f"facebench.{module_name(path)}"
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0 and failed == 0


def test_the_version_is_said_once():
    import facebench

    with (ROOT / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == facebench.__version__
    assert f"## {facebench.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
