"""The rules of the house, held by a test: who may import whom, and what an import may not do."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "errors": set(),
    "importable": {"errors"},
    "downloads": {"errors", "http_download"},
    "http_download": {"downloads"},
    "detectors": {"errors", "importable", "downloads"},
    "datasets": {"errors", "importable", "downloads"},
    "benchmarks": {"errors", "importable", "detectors", "datasets"},
    "emotions": {"errors", "detectors", "datasets", "benchmarks"},
    "reports": {"errors", "detectors", "datasets", "benchmarks"},
    "cli": {"errors", "importable", "detectors", "datasets", "benchmarks", "emotions", "reports", "facebench"},
}
HEAVY = {
    "cv2", "dlib", "face_recognition", "matplotlib", "mediapipe", "mtcnn", "onnx", "onnxruntime", "pandas", "PIL",
    "pyarrow", "scipy", "seaborn", "skimage", "tensorflow", "torch",
}  # fmt: skip
NO_PRODUCT = {"tests", "docs", "runs", "out", "build", "dist"}


def product_files(root: Path) -> list[Path]:
    """Return every module that is handed out, at any depth; virtual environments and hidden folders hold none."""
    found = []
    for folder, inside, files in os.walk(root):
        inside[:] = [
            name
            for name in inside
            if not (name in NO_PRODUCT and Path(folder) == root)
            and not name.startswith(".")
            and not Path(folder, name, "pyvenv.cfg").exists()
        ]
        found += [Path(folder, name) for name in files if name.endswith(".py")]
    return sorted(path for path in found if not path.name.startswith(("test_", "conftest")))


MODULES = product_files(ROOT)


def home(path: Path, root: Path = ROOT) -> str:
    parts = path.relative_to(root).parts
    return parts[0] if len(parts) > 1 else path.stem


def imported(path: Path, root: Path = ROOT) -> set[str]:
    """Return the houses that a module imports from, wherever in the file."""
    depth = len(path.relative_to(root).parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            found |= {node.module.partition(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(name.partition(".")[0] == "facebench" for name in names), f"{path}: import relatively"
    return {"facebench" if name == "__version__" else name for name in found} - {home(path, root)}


def upward(root: Path) -> dict[str, set[str]]:
    """Return file -> houses that it imports from and may not; the `__init__.py` of the root hands on from all."""
    found = {}
    for path in product_files(root):
        if path != root / "__init__.py":
            found[str(path.relative_to(root))] = imported(path, root) - ALLOWED[home(path, root)]
    return {name: houses for name, houses in found.items() if houses}


def test_nobody_imports_upwards():
    assert upward(ROOT) == {}


@pytest.mark.parametrize(
    ("file", "text", "houses"),
    [
        ("benchmarks/executors/new.py", "from ...emotions import EmotionPipeline", {"emotions"}),
        ("benchmarks/faults/new.py", "def late():\n    from ...cli import main", {"cli"}),
        ("benchmarks/new/deeper/new.py", "from .... import reports", {"reports"}),
        ("datasets/formats/new.py", "if TYPE_CHECKING:\n    from ...detectors import Detector", {"detectors"}),
        ("benchmarks/executors/new.py", "from ...detectors import create\nfrom ..plan import Plan\nimport os", set()),
        (".venv/new.py", "from ..cli import main", set()),
        ("my-environment/lib/new.py", "from ...cli import main", set()),
        ("tests/new.py", "import facebench.cli", set()),
    ],
)
def test_an_upward_import_is_seen_wherever_it_is(tmp_path, file, text, houses):
    (tmp_path / "my-environment").mkdir()
    (tmp_path / "my-environment" / "pyvenv.cfg").touch()
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert upward(tmp_path) == ({file: houses} if houses else {})


def test_a_folder_without_a_rule_is_seen(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "new.py").touch()
    with pytest.raises(KeyError, match="tools"):
        upward(tmp_path)


def test_every_folder_is_in_the_package_and_is_checked():
    """Neither setuptools nor mypy looks for folders: pyproject.toml and the Makefile list them."""
    folders = {".".join(("facebench", *path.parent.relative_to(ROOT).parts)) for path in MODULES}
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert set(tomllib.load(file)["tool"]["setuptools"]["packages"]) == folders
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
    # what the command prints is put aside: it names libraries
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


def test_importing_every_module_changes_no_global_state():
    """No thread count, environment variable, logging or warnings filter is touched by an import."""
    names = ["facebench." + ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES]
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


def test_public_names_are_all_there():
    import facebench

    assert sorted(facebench.__all__) == sorted({*facebench._HOME, "__version__"})
    for name in facebench.__all__:
        assert getattr(facebench, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = facebench.nonsense


@pytest.mark.parametrize("path", [path for path in MODULES if ">>>" in path.read_text(encoding="utf-8")], ids=str)
def test_examples_in_docstrings(path):
    name = "facebench." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0 and failed == 0


def test_the_version_is_said_once():
    import facebench

    with (ROOT / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == facebench.__version__
    assert f"## {facebench.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
