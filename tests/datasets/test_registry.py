from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from facebench.datasets import known, load
from facebench.errors import DataError, UsageError
from facebench.tests.support.wider_files import MakeWider

ROWS = {"0--Parade/a.jpg": [[1, 2, 3, 4, 0, 0, 0, 0, 0, 0]]}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("scene", "Did you mean expression-scenes or expression-scenes:demo or scenes?"),
        ("wider-face", "Did you mean wider-face:train or wider-face:val?"),
        ("wider-face:test", "Did you mean wider-face:train or wider-face:val?"),
        ("fer2013:publik", "Did you mean fer2013:public"),
        ("expression-scenes:test", "Did you mean expression-scenes"),
        ("ck-plus", "Did you mean ckplus?"),
        ("WIDER", "Did you mean wider-face:train or wider-face:val?"),
        (
            "",
            "Known: ckplus, close-ups, expression-scenes, expression-scenes:demo, fddb, fer2013:private, "
            "fer2013:public, fer2013:test, fer2013:train, fer2013:validate, folder, scenes, wider-face:train, "
            "wider-face:val.",
        ),
    ],
)
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        load(name)
    assert f"There is no data set {name!r}. {hint}" in str(error.value)


def test_known_names_have_one_line_each() -> None:
    assert [name for name, _ in known()] == [
        "scenes",
        "close-ups",
        "wider-face:val",
        "wider-face:train",
        "fddb",
        "folder",
        "expression-scenes",
        "expression-scenes:demo",
        "fer2013:train",
        "fer2013:validate",
        "fer2013:test",
        "fer2013:public",
        "fer2013:private",
        "ckplus",
    ]
    assert all(text and "\n" not in text for _, text in known())


def test_roots_in_order(make_wider: MakeWider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_wider(ROWS)
    monkeypatch.setenv("FACEBENCH_DATA", str(tmp_path / "elsewhere"))
    assert len(load("wider-face:val", root=root)) == 1
    with pytest.raises(DataError, match="elsewhere"):
        load("wider-face:val")
    monkeypatch.setenv("FACEBENCH_DATA", str(root))
    assert len(load("wider-face:val")) == 1
    monkeypatch.setenv("FACEBENCH_DATA", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"cache.*facebench.*data"):
        load("wider-face:val")


def test_importing_loads_no_heavy_library() -> None:
    code = "import facebench.datasets, sys; print([m for m in sys.modules if m in %r])"
    heavy = {"cv2", "PIL", "scipy", "matplotlib", "skimage", "pandas"}
    done = subprocess.run([sys.executable, "-c", code % heavy], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
