"""`facebench report`: one run, several, and without images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from facebench.benchmarks.measure.previews import write_previews
from facebench.tests.support import runs
from facebench.tests.support.two_runs import found, two


@pytest.fixture
def pair(tmp_path):
    base, head = two(tmp_path, head={"boxes": found(range(20))})
    write_previews(base, lambda name: np.full((100, 200, 3), 90, np.uint8))
    return base, head


def test_further_runs_are_compared_with_the_first(facebench, pair, tmp_path):
    base, head = pair
    report = tmp_path / "r.html"
    code, out, err = facebench("report", base.path, head.path, "-o", report)
    assert code == 0, err
    assert out.startswith(f"wrote {report} (")
    text = report.read_text(encoding="utf-8")
    assert "Compared with other runs" in text and "differ on 20 of 40" in text
    assert f"Base {base.path}, head {head.path} (two runs)" in text


def test_the_resampling_asked_for_is_that_of_the_comparison_too(facebench, pair, tmp_path):
    base, head = pair
    facebench("report", base.path, head.path, "-o", tmp_path / "r.html", "--by-event")
    assert "AP over 1,000 resamples of the events" in (tmp_path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("options", "images"), [((), 1), (("--no-images",), 0)])
def test_images_are_embedded_unless_told(facebench, pair, tmp_path, options, images):
    report = tmp_path / "r.html"
    code, _, err = facebench("report", pair[0].path, *options, "-o", report)
    assert code == 0, err
    text = report.read_text(encoding="utf-8")
    assert (text.count("data:image/jpeg") > 0) is bool(images)
    assert ("it holds no image of the data set" in text) is not bool(images)


def test_runs_of_other_images_are_refused_before_anything_is_written(facebench, pair, tmp_path):
    other = runs.make_run(tmp_path / "other")
    other.save(dataset=replace(other.document.dataset, fingerprint="0" * 16, name="elsewhere"))
    code, _, err = facebench("report", pair[0].path, pair[1].path, other.path, "-o", tmp_path / "r.html")
    assert code == 2
    assert "elsewhere" in err and "Expected the same images with the same annotation" in err
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"), [([], "Missing argument 'RUN...'"), (["BASE", "nowhere"], "holds no run")]
)
def test_wrong_use(facebench, pair, arguments, words):
    code, _, err = facebench("report", *(pair[0].path if one == "BASE" else one for one in arguments))
    assert code == 2 and words in err
