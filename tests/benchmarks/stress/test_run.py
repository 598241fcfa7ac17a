"""A stress run is a set of ordinary runs: it goes on where it stopped, takes more kinds, refuses what does not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from facebench.benchmarks.measure.plan import NullObserver
from facebench.benchmarks.store.run_folder import RunFolder
from facebench.benchmarks.stress.run import all_degradations, open_condition, read_index, run_stress
from facebench.benchmarks.stress.strips import SIDE_PX, choose_face, read_strips, window
from facebench.datasets import Faces, Sample, decode
from facebench.datasets.degraded.degradations import KINDS, Degradation
from facebench.datasets.degraded.degraded import degrade
from facebench.errors import ResultsError, SchemaVersionError, UsageError
from facebench.tests.support.records import document
from facebench.tests.support.small_dataset import make_dataset, png
from facebench.tests.support.watched_runs import plan

pytestmark = pytest.mark.usefixtures("hostile")
DARK, SMALL = Degradation("darkness", 2), Degradation("scale", 4)


class Told(NullObserver):
    """Remembers what a run tells; presses Ctrl-C after so many images."""

    def __init__(self, stop_after: int = -1) -> None:
        self.begun: list[str] = []
        self.images = 0
        self.stop_after = stop_after

    def cell_begins(self, cell, done, total):
        self.begun.append(cell.spec.removeprefix("hostile_detectors:"))

    def image_done(self):
        self.images += 1
        if self.images == self.stop_after:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("kinds", "severities", "expected"),
    [
        (["blur"], [1], ["blur:1"]),
        (["noise", "blur"], [5, 1], ["noise:5", "noise:1", "blur:5", "blur:1"]),
        (["blur", "blur"], [2, 2], ["blur:2"]),
        ([], [1], []),
    ],
)
def test_all_degradations(kinds, severities, expected):
    assert [str(one) for one in all_degradations(kinds, severities)] == expected


@pytest.mark.parametrize(("kinds", "severities"), [(["fog"], [1]), (["blur"], [0]), (["blur"], [6])])
def test_degradations_that_do_not_exist(kinds, severities):
    with pytest.raises(UsageError):
        all_degradations(kinds, severities)


def test_what_makes_no_stress_run(tmp_path, small):
    with pytest.raises(UsageError, match="no degradation is asked for"):
        run_stress(plan(small, "Good"), tmp_path / "run", [])
    with pytest.raises(UsageError, match="is degraded already"):
        run_stress(plan(degrade(small, DARK), "Good"), tmp_path / "run", [DARK])
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_stress_run_from_begin_to_end(tmp_path):
    """Who fails on the images as they are is not run again; a second call does nothing; more kinds are added."""
    out, small, told = tmp_path / "run", make_dataset(2), Told()
    run_stress(plan(small, "Good", "Raises"), out, [DARK], observer=told)
    assert told.begun == ["Good", "Raises", "Good on darkness:2"]
    dark = open_condition(RunFolder.open(out), read_index(RunFolder.open(out)).conditions[0])
    assert dark.document.dataset.name == "small?degrade=darkness:2"
    assert [cell.status for cell in dark.cells] == ["done"]

    again = Told()
    run_stress(plan(small, "Good"), out, [DARK], observer=again)
    assert (again.begun, again.images) == ([], 0)

    more = Told()
    folder = run_stress(plan(small, "Good"), out, [SMALL], observer=more)
    assert more.begun == ["Good on scale:4"]
    index = read_index(folder)
    assert [str(one.degradation) for one in index.conditions] == ["darkness:2", "scale:4"]
    faces = open_condition(folder, index.conditions[1]).faces()
    assert faces[["x1", "y1", "x2", "y2"]].to_numpy()[0].tolist() == [10.0, 7.5, 20.0, 15.0]
    assert folder.faces()["x2"].iloc[0] == 80.0

    strips = read_strips(out / "stress")
    windows = {window.name: window for window in strips.windows}
    assert set(windows) == {"clean", "darkness-2", "scale-4"}
    assert (windows["scale-4"].width, windows["scale-4"].height) == (40, 30)
    assert windows["scale-4"].boxes == ((10.0, 7.5, 20.0, 15.0),)
    shown = decode(out / "stress" / "strips" / "darkness-2.jpg").image
    assert shown.shape == (120, 160, 3) and shown.mean() < decode(small.samples[0].source).image.mean() + 1

    with pytest.raises(UsageError, match="of another seed"):
        run_stress(plan(small, "Good"), out, [DARK], seed=1)
    with pytest.raises(UsageError, match="another data set"):
        run_stress(plan(replace(small, fingerprint="e" * 16), "Good"), out, [DARK])


@pytest.mark.slow
def test_an_interrupted_stress_run_goes_on_where_it_stopped(tmp_path, small):
    out, told = tmp_path / "run", Told(stop_after=8)
    with pytest.raises(KeyboardInterrupt):
        run_stress(plan(small, "Good"), out, [DARK, SMALL], observer=told)
    assert told.begun == ["Good", "Good on darkness:2"]
    rest = Told()
    run_stress(plan(small, "Good"), out, [DARK, SMALL], observer=rest)
    assert rest.begun == ["Good on darkness:2", "Good on scale:4"]
    assert told.images + rest.images == 3 * 6


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"schema": "other"}, ResultsError, "is another file"),
        ({"schema_version": 2}, SchemaVersionError, "schema version 2"),
        ({"conditions": [{"kind": "fog", "severity": 1, "words": "", "fingerprint": ""}]}, ResultsError, "damaged"),
        ({"conditions": [{"kind": "blur"}]}, ResultsError, "damaged"),
        ({"conditions": None}, ResultsError, "damaged"),
        ({"seed": "x"}, ResultsError, "damaged"),
    ],
)
def test_a_damaged_index_is_named(tmp_path, change, error, words):
    run = RunFolder.create(tmp_path, document())
    assert read_index(run) is None
    good = {"schema": "facebench.stress", "schema_version": 1, "seed": 0, "conditions": []}
    path = tmp_path / "stress" / "stress.json"
    path.parent.mkdir()
    path.write_text(json.dumps(good | change))
    with pytest.raises(error, match=words) as caught:
        read_index(run)
    assert "facebench stress" in str(caught.value)


def test_a_folder_of_other_images_is_refused(tmp_path, small):
    out = tmp_path / "run"
    folder = run_stress(plan(small, "Good"), out, [DARK])
    condition = read_index(folder).conditions[0]
    with pytest.raises(ResultsError, match="other images than its stress run wanted"):
        open_condition(folder, replace(condition, fingerprint="0" * 32))
    assert open_condition(folder, replace(condition, degradation=SMALL)) is None


@pytest.mark.parametrize("name", ["../x", "blur-9", "fog-1", "blur", "clean/../x"])
def test_a_window_cannot_name_another_file(tmp_path, name):
    index = {
        "schema": "facebench.stress-strips",
        "schema_version": 1,
        "image_id": "a",
        "windows": [{"name": name, "width": 1, "height": 1, "boxes": []}],
    }
    (tmp_path / "strips").mkdir()
    (tmp_path / "strips" / "strips.json").write_text(json.dumps(index))
    with pytest.raises(ResultsError, match="damaged"):
        read_strips(tmp_path)


def sample(name: str, *heights: float, ignore: bool = False, blur: int = 0, source: bytes | None = None) -> Sample:
    boxes = np.array([[0, 0, 10, height] for height in heights], np.float32).reshape(-1, 4)
    labels = {"blur": np.full(len(heights), blur, np.int8)}
    return Sample(
        name, png(300, 300) if source is None else source, Faces(boxes, np.full(len(heights), ignore), labels)
    )


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], None),
        ([sample("a")], None),
        ([sample("a", 96, ignore=True)], None),
        ([sample("a", 0)], None),
        ([sample("a", 96, source=b"no image")], None),
        ([sample("a", 10, 90, 300)], ("a", 1)),
        ([sample("b", 96), sample("a", 96)], ("a", 0)),
        ([sample("a", 96, blur=2), sample("b", 20)], ("b", 0)),
        ([sample("a", 96, source=b"no image"), sample("b", 20)], ("b", 0)),
    ],
    ids=["no image", "no face", "ignored", "no size", "unreadable", "size", "name", "no flaw", "the next readable"],
)
def test_the_face_that_is_shown(samples, expected):
    found = choose_face(samples)
    assert (None if found is None else (found[0].image_id, found[1])) == expected


@pytest.mark.parametrize(
    ("size", "box", "shape", "corner"),
    [
        ((1000, 800), (480, 380, 520, 420), (SIDE_PX, SIDE_PX), (380, 280)),
        ((1000, 800), (0, 0, 10, 10), (SIDE_PX, SIDE_PX), (0, 0)),
        ((1000, 800), (990, 700, 1010, 900), (SIDE_PX, SIDE_PX), (760, 560)),
        ((100, 800), (40, 40, 60, 60), (SIDE_PX, 100), (0, 0)),
        ((5, 3), (1, 1, 2, 2), (3, 5), (0, 0)),
    ],
)
def test_windows_stay_inside_their_image(size, box, shape, corner):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    part, shift = window(image, np.array(box, np.float32))
    assert (part.shape[:2], tuple(shift.tolist())) == (shape, corner)


def test_kinds_have_five_levels_that_rise_or_fall():
    for kind in KINDS.values():
        steps = np.sign(np.diff(kind.levels))
        assert len(kind.levels) == 5 and abs(steps.sum()) == 4 and "{}" in kind.words
