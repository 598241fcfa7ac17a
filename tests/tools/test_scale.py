"""The measurement of growth: images repeated under new names, and figures that are those of a real run."""

from __future__ import annotations

import json
import sys

import pytest
from facebench.tests.support.small_dataset import make_dataset
from facebench.tools import scale
from facebench.tools.scale import Measurement, main, repeated


@pytest.mark.parametrize("images", [1, 6, 7, 20])
def test_images_are_repeated_under_new_names(small, images):
    more = repeated(small, images)
    assert len(more) == more.total == images and more.demo
    names = [sample.image_id for sample in more.samples]
    assert len(set(names)) == images
    assert [name.partition("/")[2] for name in names] == [small.samples[i % 6].image_id for i in range(images)]
    assert [sample.source for sample in more.samples] == [small.samples[i % 6].source for i in range(images)]


def test_another_number_of_images_is_another_data_set():
    prints = {repeated(make_dataset(6), count).fingerprint for count in (1, 6, 600, 60000)}
    assert len(prints) == 4 and all(len(one) <= 32 for one in prints)


def test_throughput_is_that_of_the_pass():
    found = Measurement(100, "local:1", look_s=9.0, detect_s=4.0, whole_s=20.0, detections=0, journal_bytes=0,
                        table_bytes=0, memory=())  # fmt: skip
    assert found.images_per_second == 25.0


@pytest.mark.slow
def test_a_run_is_measured_with_its_memory_and_what_comes_after_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scale, "_SAMPLE_S", 0.05)
    output = tmp_path / "scale.json"
    main("scenes?count=3", None, "7", "haar", "local:1", output)
    main("scenes?count=3", None, "4", "haar", "local:1", output)
    document = json.loads(output.read_text(encoding="utf-8"))
    assert [run["images"] for run in document["measurements"]] == [7, 4]
    first, second = document["measurements"]
    assert 0 < first["look_s"] < first["whole_s"] and 0 < first["detect_s"] < first["whole_s"]
    assert first["detections"] > second["detections"] > 0 and first["journal_bytes"] > second["journal_bytes"] > 0
    # the first samples come before the program is loaded
    assert all(whole >= own > 0 for _, own, whole in first["memory"]) and len(first["memory"]) >= 2
    assert max(own for _, own, _ in first["memory"]) > 20
    assert [one["images"] for one in document["afterwards"]] == [7, 4]
    assert all(one["report_bytes"] > 100_000 and one["table_s"] > 0 for one in document["afterwards"])
    assert "7 images, local:1" in capsys.readouterr().out


def test_a_process_that_has_ended_is_no_sample_of_its_memory(monkeypatch, tmp_path):
    """Between its end and its parent's notice a process is still listed and holds nothing."""
    held, go_on = iter([0.0, 30.0]), tmp_path / "go-on"

    def resident(_):
        """The third time it is the end of the process."""
        if (mb := next(held, None)) is None:
            go_on.touch()
        return mb or 0.0

    monkeypatch.setattr(scale, "_resident_mb", resident)
    monkeypatch.setattr(scale, "_SAMPLE_S", 0.05)
    waits = f"import pathlib\nwhile not pathlib.Path({str(go_on)!r}).exists(): pass\nprint(7)"
    printed, _, memory = scale._watched([sys.executable, "-c", waits])
    assert (printed.strip(), [(own, whole) for _, own, whole in memory]) == ("7", [(30.0, 30.0)])


def test_a_detector_that_fails_ends_the_measurement(tmp_path, hostile, capfd):
    with pytest.raises(SystemExit, match="exit code 1"):
        main("scenes?count=3", None, "4", "hostile_detectors:Raises", "local:1", tmp_path / "scale.json")
    assert "failed" in capfd.readouterr().err and not (tmp_path / "scale.json").exists()
