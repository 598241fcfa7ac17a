"""Videos made here, processed with parts that see brightness, and read back."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from facebench.emotions import EMOTIONS, EmotionPipeline, TrackerOptions, VideoProgress, process_video
from facebench.emotions.pipeline.overlay import COLOURS
from facebench.emotions.pipeline.video_copy import VideoWriter
from facebench.emotions.pipeline.video_file import FALLBACK_RATE
from facebench.emotions.pipeline.video_io import Frame, VideoReader
from facebench.errors import FacebenchError, ModelStoreError, UsageError, VideoError
from facebench.tests.support.pipeline_fakes import BrightBoxes, GreyLevels, Ticks, scene
from PIL import Image

RATE, FRAMES = 12.5, 30


def moving(frame: int) -> np.ndarray:
    """One who walks and turns from sad to happy at half time, one who stands from frame 10 on."""
    walker = (20 + 5 * frame, 60, 60, 140 if frame < FRAMES // 2 else 240)
    return scene(walker, (240, 160, 50, 190)) if frame >= 10 else scene(walker)


def make(path: Path, images: list[np.ndarray], rate: float = RATE, fourcc: str = "mp4v") -> Path:
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), rate, (width, height))
    assert writer.isOpened()
    for image in images:
        writer.write(image[..., ::-1].copy())
    writer.release()
    return path


def read(path: Path) -> tuple[list[np.ndarray], float]:
    capture = cv2.VideoCapture(str(path))
    images = []
    while (got := capture.read())[0]:
        images.append(got[1][..., ::-1])
    return images, capture.get(cv2.CAP_PROP_FPS)


def frames_of(path: Path) -> list[Frame]:
    with closing(VideoReader(path)) as reader:
        return list(reader.frames())


def times_of(path: Path) -> list[float]:
    return [frame.time_s for frame in frames_of(path)]


def pipeline() -> EmotionPipeline:
    return EmotionPipeline(BrightBoxes(), classifier=GreyLevels(), clock=Ticks())


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("clip") / "clip.mp4", [moving(frame) for frame in range(FRAMES)])


def test_in_and_out(clip: Path, tmp_path: Path) -> None:
    """As many frames, of the same size and rate, with boxes and labels; one line per frame; a report that adds up."""
    out, jsonl = tmp_path / "new folder" / "out.mp4", tmp_path / "other" / "out.jsonl"
    report = process_video(clip, pipeline(), output=out, jsonl=jsonl, clock=Ticks())
    images, rate = read(out)
    assert (len(images), images[0].shape, rate) == (FRAMES, (240, 320, 3), RATE)
    lines = lines_of(jsonl)
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    np.testing.assert_allclose([line["time_s"] for line in lines], np.arange(FRAMES) / RATE, atol=1e-3)
    for line, image in zip(lines, images, strict=True):
        assert len(line["faces"]) == (2 if line["frame"] >= 10 else 1)
        for face in line["faces"]:
            x1, y1, x2, y2 = (round(value) for value in face["box"])
            plate = image[y1 - 12 : y1 - 4, x1 + 2 : x1 + 30].reshape(-1, 3)
            alike = np.abs(plate.astype(int) - COLOURS[face["emotion"]]).max(axis=1) < 40  # the codec changes colours
            assert alike.mean() > 0.3  # the rest is text
            assert image[(y1 + y2) // 2, x2 - 2 : x2 + 3].min() < 60  # the dark rim of the box, on a bright face
    walkers = [face for line in lines for face in line["faces"] if face["track"] == 1]
    assert [round(face["box"][0]) for face in walkers] == pytest.approx([20 + 5 * n for n in range(FRAMES)], abs=2)
    assert {face["track"] for line in lines for face in line["faces"]} == {1, 2}
    assert (report.source, report.width, report.height, report.frame_rate) == (str(clip), 320, 240, RATE)
    assert (report.frames_announced, report.frames_read, report.frames_processed) == (FRAMES, FRAMES, FRAMES)
    assert (report.faces, report.tracks, report.stopped) == (FRAMES + 20, 2, False)
    assert report.video_s == pytest.approx((FRAMES - 1) / RATE, abs=1e-3)
    assert (report.detector_ms, report.crop_ms, report.classifier_ms) == (1, 1, 1)
    assert report.pipeline_fps == pytest.approx(1000 / 3)
    assert report.total_fps == pytest.approx(FRAMES / 1e-3)  # its clock is looked at twice
    assert json.loads(json.dumps(report.to_json()))["output"] == str(out)


def test_emotions_change_once_and_within_the_time_constant(clip: Path, tmp_path: Path) -> None:
    process_video(clip, pipeline(), jsonl=tmp_path / "o.jsonl", tracking=TrackerOptions(time_constant_s=0.4))
    walker = [line["faces"] for line in lines_of(tmp_path / "o.jsonl")]
    labels = [next(face["emotion"] for face in faces if face["track"] == 1) for faces in walker]
    changed = labels.index("happy")
    assert labels == ["sad"] * changed + ["happy"] * (FRAMES - changed)
    assert FRAMES // 2 < changed <= FRAMES // 2 + round(0.4 * RATE)
    assert set(walker[0][0]["probabilities"]) == set(EMOTIONS)


@pytest.mark.parametrize(("every", "count"), [(1, 30), (2, 15), (4, 8), (29, 2), (100, 1)])
def test_every_nth_frame_lasts_as_long(clip: Path, tmp_path: Path, every: int, count: int) -> None:
    out, jsonl = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    report = process_video(clip, pipeline(), output=out, jsonl=jsonl, every=every)
    images, rate = read(out)
    assert (report.frames_read, report.frames_processed, len(images)) == (FRAMES, count, count)
    assert rate == pytest.approx(RATE / every, rel=1e-3)
    assert [line["frame"] for line in lines_of(jsonl)] == list(range(0, FRAMES, every))
    assert lines_of(jsonl)[-1]["time_s"] == pytest.approx((count - 1) * every / RATE, abs=1e-3)


def test_nothing_need_be_written(clip: Path) -> None:
    report = process_video(clip, pipeline())
    assert (report.output, report.jsonl, report.frames_processed) == (None, None, FRAMES)


def test_an_observer_hears_of_every_frame(clip: Path) -> None:
    heard: list[VideoProgress] = []
    process_video(clip, pipeline(), every=10, observer=heard.append)
    assert [(p.frames_read, p.announced, p.faces) for p in heard] == [(1, 30, 1), (11, 30, 2), (21, 30, 2)]


def test_a_video_without_faces(tmp_path: Path) -> None:
    clip = make(tmp_path / "c.mp4", [scene()] * 4)
    report = process_video(clip, pipeline(), output=tmp_path / "o.mp4", jsonl=tmp_path / "o.jsonl")
    assert (report.faces, report.tracks, len(read(tmp_path / "o.mp4")[0])) == (0, 0, 4)
    assert [line["faces"] for line in lines_of(tmp_path / "o.jsonl")] == [[]] * 4


def test_odd_sides_lose_nothing(tmp_path: Path) -> None:
    """4:2:0 has even sides: the last row and column are not cut off."""
    images = [Image.fromarray(scene((10 + n, 10, 8, 200), size=(47, 65))) for n in range(3)]
    images[0].save(tmp_path / "c.gif", save_all=True, append_images=images[1:], duration=100)
    report = process_video(tmp_path / "c.gif", pipeline(), output=tmp_path / "o.mp4")
    assert (report.width, report.height) == (65, 47)
    assert [image.shape for image in read(tmp_path / "o.mp4")[0]] == [(48, 66, 3)] * 3


def interrupting(after: int) -> Callable[[VideoProgress], None]:
    def observe(progress: VideoProgress) -> None:
        if progress.frames_read == after:
            raise KeyboardInterrupt

    return observe


def test_an_interrupt_leaves_whole_files(clip: Path, tmp_path: Path) -> None:
    out, jsonl = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    report = process_video(clip, pipeline(), output=out, jsonl=jsonl, observer=interrupting(7))
    assert (report.stopped, report.frames_processed) == (True, 7)
    assert len(read(out)[0]) == len(lines_of(jsonl)) == 7


def test_ctrl_c_in_a_process_of_its_own(tmp_path: Path) -> None:
    """A real signal, sent when the first lines are out, in a long video."""
    clip = make(tmp_path / "c.mp4", [moving(frame % FRAMES) for frame in range(600)])
    code = (
        "import signal, sys; from pathlib import Path\n"
        # a test run in the background of a shell hands on that it ignores the signal
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from facebench.emotions import EmotionPipeline, process_video\n"
        "from facebench.tests.support.pipeline_fakes import BrightBoxes, GreyLevels\n"
        "def tell(p):\n"
        "    if p.frames_read == 5: print('now', flush=True)\n"
        "    if p.frames_read == 500: sys.stdin.read()\n"  # a signal that comes late finds it here
        "r = process_video(Path(sys.argv[1]), EmotionPipeline(BrightBoxes(), classifier=GreyLevels()),\n"
        "    output=Path('o.mp4'), jsonl=Path('o.jsonl'), observer=tell)\n"
        "print(r.stopped, r.frames_processed)\n"
    )
    arguments = [sys.executable, "-c", code, str(clip)]
    with subprocess.Popen(arguments, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGINT)
        stopped, count = process.stdout.read().split()
    assert (process.returncode, stopped) == (0, "True")
    assert 5 <= int(count) <= 500
    frames, lines = len(read(tmp_path / "o.mp4")[0]), lines_of(tmp_path / "o.jsonl")
    assert {frames, len(lines)} <= {int(count), int(count) + 1}  # it may come between the two files


def test_a_failing_part_leaves_whole_files(clip: Path, tmp_path: Path) -> None:
    class Failing(GreyLevels):
        def classify(self, faces: list[np.ndarray]) -> np.ndarray:
            if len(self.batches) == 3:
                raise UsageError("enough")
            return super().classify(faces)

    out, jsonl = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    with pytest.raises(UsageError, match="enough"):
        process_video(clip, EmotionPipeline(BrightBoxes(), classifier=Failing()), output=out, jsonl=jsonl)
    assert len(read(out)[0]) == len(lines_of(jsonl)) == 3


def test_a_missing_classifier_is_told_before_anything_is_written(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facebench.emotions.pipeline.classifier.SHIPPED_MODEL", tmp_path / "none.onnx")
    with pytest.raises(ModelStoreError, match="install facebench again"):
        process_video(clip, EmotionPipeline(BrightBoxes()), output=tmp_path / "o.mp4")
    assert list(tmp_path.iterdir()) == []


def index_first(content: bytes) -> bytes:
    """Move an MP4's index before its images, as for streaming, so that a cut file still has it."""
    boxes, at = {}, 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        boxes[content[at + 4 : at + 8]] = content[at : at + size]
        at += size
    index = bytearray(boxes.pop(b"moov"))
    table = index.find(b"stco")
    for entry in range(int.from_bytes(index[table + 8 : table + 12], "big")):
        place = slice(table + 12 + 4 * entry, table + 16 + 4 * entry)
        index[place] = (int.from_bytes(index[place], "big") + len(index)).to_bytes(4, "big")
    return boxes.pop(b"ftyp") + bytes(index) + b"".join(boxes.values())


BROKEN = [
    pytest.param(lambda whole: b"", "is empty", id="empty"),
    pytest.param(lambda whole: b"This is not a video.\n" * 50, "begin with b'This is ' are not a video", id="text"),
    pytest.param(lambda whole: whole[: len(whole) // 2], "cut off before the index", id="cut, index at the end"),
    pytest.param(lambda whole: whole[:1], "1 bytes", id="one byte"),
    pytest.param(lambda whole: np.random.default_rng(0).bytes(5000), "not a video", id="noise"),
]


@pytest.mark.parametrize(("damage", "says"), BROKEN)
def test_broken_files(clip: Path, tmp_path: Path, damage: Callable[[bytes], bytes], says: str) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(damage(clip.read_bytes()))
    with pytest.raises(VideoError, match=says) as caught:
        process_video(broken, pipeline(), output=tmp_path / "o.mp4", jsonl=tmp_path / "o.jsonl")
    assert str(broken) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]


@pytest.mark.parametrize("kind", ["mp4", "avi"])
def test_a_video_that_ends_early_is_told_and_the_rest_is_kept(clip: Path, tmp_path: Path, kind: str) -> None:
    if kind == "mp4":
        content = index_first(clip.read_bytes())
    else:
        content = make(tmp_path / "w.avi", [moving(n) for n in range(FRAMES)], fourcc="MJPG").read_bytes()
    cut, whole = tmp_path / f"cut.{kind}", tmp_path / f"whole.{kind}"
    whole.write_bytes(content)
    assert process_video(whole, pipeline()).frames_read == FRAMES
    cut.write_bytes(content[: len(content) * 2 // 3])
    out, jsonl = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    with pytest.raises(VideoError, match=rf"cut off or damaged: got (\d+) frames, expected {FRAMES}"):
        process_video(cut, pipeline(), output=out, jsonl=jsonl)
    assert 5 <= len(read(out)[0]) == len(lines_of(jsonl)) < FRAMES


def test_a_video_of_no_frames(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "z.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    writer.release()
    with pytest.raises(VideoError, match="without a frame that can be decoded"):
        process_video(tmp_path / "z.avi", pipeline(), output=tmp_path / "o.mp4")
    assert not (tmp_path / "o.mp4").exists()


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"none\.mp4: No such file"):
        process_video(tmp_path / "none.mp4", pipeline())
    with pytest.raises(VideoError, match="Is a directory"):
        process_video(str(tmp_path), pipeline())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param({"output": "o.avi"}, r"ends in \.mp4", id="another kind of video"),
        pytest.param({"output": "clip.mp4"}, "which is the source too", id="over the source"),
        pytest.param({"output": "../here/clip.mp4"}, "which is the source too", id="over the source, another way"),
        pytest.param({"jsonl": "clip.mp4"}, "which is the source too", id="lines over the source"),
        pytest.param({"output": "o.mp4", "jsonl": "o.mp4"}, "which is output too", id="both in one file"),
        pytest.param({"every": 0}, "every=0", id="no frame at all"),
    ],
)
def test_wrong_use_leaves_everything_as_it_is(clip: Path, tmp_path: Path, options: dict, says: str) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    places = {name: folder / value if isinstance(value, str) else value for name, value in options.items()}
    with pytest.raises(UsageError, match=says):
        process_video(folder / "clip.mp4", pipeline(), **places)
    assert (folder / "clip.mp4").read_bytes() == clip.read_bytes()
    assert [path.name for path in folder.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("name", ["output", "jsonl"])
def test_places_that_cannot_be_written_to(clip: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VideoError, match=r"cannot write .*file/o\.mp4"):
        process_video(clip, pipeline(), **{name: tmp_path / "file" / "o.mp4"})
    (tmp_path / "o.mp4").mkdir()
    with pytest.raises(VideoError, match=r"cannot write .*o\.mp4"):
        process_video(clip, pipeline(), **{name: tmp_path / "o.mp4"})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_lines_on_a_full_disk(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").symlink_to("/dev/full")
    with pytest.raises(VideoError, match="No space left"):
        process_video(clip, pipeline(), jsonl=tmp_path / "o.jsonl")


@contextmanager
def small_files() -> Iterator[None]:
    """No file may grow beyond 20,000 bytes, as on a full disk.

    Not a fixture: between a test's call and its teardown pytest writes its progress, to a file perhaps.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_video_on_a_full_disk(tmp_path: Path) -> None:
    """Neither half a copy nor the temporary file is left, and what was there before stays."""
    rng = np.random.default_rng(0)
    (tmp_path / "o.mp4").write_bytes(b"before")
    writer = VideoWriter(tmp_path / "o.mp4", 10)
    with small_files(), pytest.raises(VideoError, match="Free some space"):
        for frame in range(40):
            writer.write(rng.integers(0, 256, (120, 160, 3)).astype(np.uint8), frame / 10)
        writer.close()
    writer.close()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("o.mp4", b"before")]


@pytest.mark.parametrize("after_ms", range(2, 42, 2))
def test_an_interrupt_in_the_middle_of_writing_loses_no_frame(tmp_path: Path, after_ms: int) -> None:
    """A signal that comes while FFmpeg encodes is raised right after that call, before its packets are written."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    writer, written = VideoWriter(tmp_path / "o.mp4", 10), 0
    # noise, so that the file is written to all the time
    images = list(np.random.default_rng(0).integers(0, 256, (FRAMES, 120, 160, 3), np.uint8))
    writer.write(images[0], 0)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, after_ms / 1000)
            for written in range(1, 10_000):
                writer.write(images[written % FRAMES], written / 10)
    finally:
        signal.signal(signal.SIGALRM, before)
    writer.close(whole=False)
    times = times_of(tmp_path / "o.mp4")
    assert len(times) - written in (0, 1)
    assert times == pytest.approx([frame / 10 for frame in range(len(times))])


def test_a_video_has_one_size(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "o.mp4", 10)
    writer.write(scene(), 0)
    with pytest.raises(VideoError, match="100x100 pixels after frames of 320x240"):
        writer.write(scene(size=(100, 100)), 0.1)
    writer.close()
    assert len(read(tmp_path / "o.mp4")[0]) == 1


class FakeCapture:
    """What cv2.VideoCapture is to its user: so many images, then none; properties as given."""

    def __init__(self, images: int, properties: dict[int, float] | None = None) -> None:
        self.left, self.properties, self.released = images, properties or {}, False

    def isOpened(self) -> bool:
        return True

    def get(self, name: int) -> float:
        return self.properties.get(name, 0.0)

    def set(self, name: int, value: float) -> bool:
        return False

    def grab(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, moving(0)

    def release(self) -> None:
        self.released = True


def with_capture(monkeypatch: pytest.MonkeyPatch, capture: FakeCapture) -> None:
    """Give this capture for camera 0; videos written are still read back by OpenCV."""
    real = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda name, *rest: capture if name == 0 else real(name, *rest))


class Clock:
    """Goes on by 100 ms at every look."""

    def __init__(self) -> None:
        self.now = 5_000_000_000

    def __call__(self) -> int:
        self.now += 100_000_000
        return self.now


def test_a_camera_is_timed_by_the_clock_and_its_video_lasts_as_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image every 100 ms from a camera of 30 a second: each stands in the video for that long."""
    capture = FakeCapture(1000, {cv2.CAP_PROP_FPS: 30.0})
    with_capture(monkeypatch, capture)
    out, jsonl = tmp_path / "o.mp4", tmp_path / "o.jsonl"
    report = process_video(0, pipeline(), output=out, jsonl=jsonl, observer=interrupting(5), clock=Clock())
    assert [line["time_s"] for line in lines_of(jsonl)] == [0, 0.1, 0.2, 0.3, 0.4]
    images, rate = read(out)
    assert (len(images), rate) == (5, 10)
    assert (report.source, report.stopped, report.frames_announced, report.video_s) == ("camera 0", True, None, 0.4)
    assert capture.released


def test_a_camera_that_ends_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_capture(monkeypatch, FakeCapture(3))
    with pytest.raises(VideoError, match="camera 0 gave no more images after 3"):
        process_video(0, pipeline(), output=tmp_path / "o.mp4", clock=Clock())
    assert len(read(tmp_path / "o.mp4")[0]) == 3


@pytest.mark.parametrize(
    ("number", "error", "says"),
    [(97, VideoError, "camera 97 cannot be opened"), (-1, UsageError, "camera -1"), (True, UsageError, "camera True")],
)
def test_no_such_camera(number: int, error: type[FacebenchError], says: str) -> None:
    with pytest.raises(error, match=says):
        process_video(number, pipeline())


@pytest.mark.parametrize(("told", "rate"), [(0.0, FALLBACK_RATE), (24.0, 24.0), (90_000.0, FALLBACK_RATE)])
def test_a_camera_that_tells_no_rate(monkeypatch: pytest.MonkeyPatch, told: float, rate: float) -> None:
    with_capture(monkeypatch, FakeCapture(4, {cv2.CAP_PROP_FPS: told}))
    assert VideoReader(0).frame_rate == rate


def test_a_camera_leaves_opencvs_log_as_it_was() -> None:
    before = cv2.utils.logging.getLogLevel()
    with pytest.raises(VideoError):
        VideoReader(97)
    assert cv2.utils.logging.getLogLevel() == before


@pytest.mark.slow
def test_a_moving_scene_with_real_parts(tmp_path: Path) -> None:
    """A woman with a broad smile, seen by a real detector and classifier while the camera pans: one track, happy."""
    from facebench.datasets import decode, load
    from facebench.detectors import create
    from facebench.emotions import EmotionClassifier
    from facebench.errors import UnavailableError

    try:
        real = EmotionPipeline(create("yunet"), classifier=EmotionClassifier.mini_xception())
    except (ModelStoreError, UnavailableError) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    happy = EMOTIONS.index("happy")
    for sample in load("expression-scenes:demo?count=30").samples:
        assert sample.faces.emotions is not None
        sizes = sample.faces.boxes[:, 3] - sample.faces.boxes[:, 1]
        if sample.faces.emotions.tolist() == [happy] and sizes[0] >= 120 and not sample.faces.attributes["blur"].any():
            break
    else:
        pytest.fail("no scene of one large happy face among the first 30")
    image = decode(sample.source).image
    assert image is not None
    padded = cv2.copyMakeBorder(image, 0, 0, 60, 60, cv2.BORDER_REPLICATE)
    width = image.shape[1]
    clip = make(tmp_path / "c.mp4", [padded[:, 5 * n : 5 * n + width] for n in range(20)])
    report = process_video(clip, real, output=tmp_path / "o.mp4", jsonl=tmp_path / "o.jsonl")
    lines = lines_of(tmp_path / "o.jsonl")
    best = [line["faces"][0] for line in lines]
    assert {face["track"] for face in best} == {1}
    assert [face["emotion"] for face in best].count("happy") >= 18
    assert best[0]["box"][0] - best[-1]["box"][0] == pytest.approx(95, abs=10)
    assert len(read(tmp_path / "o.mp4")[0]) == report.frames_processed == 20
    assert 0 < report.total_fps < report.pipeline_fps
