"""Converts clips to records: folders of frames, animations and videos."""

import struct
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hubline.core.errors import UserError
from hubline.pipeline.convert import from_video
from hubline.pipeline.convert.from_video import Frames
from tests.support import example_data
from tests.support.conversion import rows_of, types_of
from tests.support.files_to_convert import by_file, converted, pixels, saved, tiles, turned, write

# Clips


def grey(level: int, height: int = 8, width: int = 8) -> Image.Image:
    return Image.fromarray(np.full([height, width, 3], level, np.uint8))


def levels(frames: Sequence[bytes]) -> list[int]:
    """Mean of each frame, rounded to ten, because JPEG is not exact."""
    return [int(round(pixels(frame).mean(), -1)) for frame in frames]


def animation(form: str, count: int = 10, duration: int = 100) -> bytes:
    first, *others = (grey(20 * number) for number in range(count))
    options = {"lossless": True} if form == "WEBP" else {}
    return saved(first, form, save_all=True, append_images=others, duration=duration, **options)


def test_folders_of_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    frames = {f"frame{number}": saved(grey(10 * number), ("JPEG", "PNG")[number % 2]) for number in range(1, 13)}
    write(tmp_path / "in", **{f"run__clip 1__{name}_img": data for name, data in frames.items()})
    write(tmp_path / "in", **{f"jump__clip__{name}_img": data for name, data in list(frames.items())[:2]})
    done = converted(from_video.in_folders(tmp_path / "in", Frames()), tmp_path)
    found = by_file(tmp_path / "out")
    assert found["run/clip 1"] == {"frames": list(frames.values()), "label": [b"run"], "file": [b"run/clip 1"]}
    assert found["jump/clip"]["frames"] == list(frames.values())[:2]
    assert types_of(done) == {"frames": "bytes", "label": "bytes", "file": "bytes", "fps": "float"}
    assert done.classes == {"run": 1, "jump": 1}


@pytest.mark.slow
def test_frames_are_chosen_resized_and_turned(tmp_path: Path) -> None:
    write(tmp_path / "in", a__clip__1_jpg=turned(tiles(), "JPEG", 6), a__clip__2_webp=saved(tiles(), "WEBP"))
    write(tmp_path / "in", a__clip__3_jpg=saved(tiles(), "JPEG"))
    done = converted(from_video.in_folders(tmp_path / "in", Frames()), tmp_path)
    first, second, _ = rows_of(tmp_path / "out")[0]["frames"]
    assert pixels(first).shape == (48, 32, 3) and second.startswith(b"\xff\xd8\xff")
    assert not done.notes and first == turned(tiles(), "JPEG", 6)
    converted(from_video.in_folders(tmp_path / "in", Frames(most=2, size=(10, 20))), tmp_path, overwrite=True)
    assert [pixels(frame).shape for frame in rows_of(tmp_path / "out")[0]["frames"]] == [(10, 20, 3)] * 2
    sizes = []
    for quality in (20, 95):
        wanted = Frames(most=1, size=(64, 64), quality=quality)
        converted(from_video.in_folders(tmp_path / "in", wanted), tmp_path, overwrite=True)
        sizes.append(len(rows_of(tmp_path / "out")[0]["frames"][0]))
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
@pytest.mark.parametrize(
    ("wanted", "expected", "rate"),
    [
        (Frames(), [0, 20, 40, 60, 80, 100, 120, 140, 160, 180], 10),
        (Frames(most=3), [0, 20, 40], 10),
        (Frames(per_second=5), [0, 40, 80, 120, 160], 5),
        (Frames(per_second=4), [0, 60, 100, 160], 4),
        (Frames(per_second=2.5, most=2), [0, 80], 2.5),
        (Frames(per_second=100), [0, 20, 40, 60, 80, 100, 120, 140, 160, 180], 10),
    ],
)
def test_animations(tmp_path: Path, form: str, wanted: Frames, expected: list[int], rate: float) -> None:
    write(tmp_path / "in", **{f"a__clip_{form.lower()}": animation(form)})
    converted(from_video.in_folders(tmp_path / "in", wanted), tmp_path)
    (row,) = rows_of(tmp_path / "out")
    assert levels(row["frames"]) == expected and row["fps"] == [rate]


def test_sequence_examples_have_a_step_for_each_frame(tmp_path: Path) -> None:
    write(tmp_path / "in", a__clip_gif=animation("GIF", 3), b__clip__1_png=saved(grey(50), "PNG"))
    converted(from_video.in_folders(tmp_path / "in", Frames(), sequence_examples=True), tmp_path)
    (path,) = (tmp_path / "out").iterdir()
    for record in example_data.read_tfrecord(path):
        context, lists = tf.io.parse_single_sequence_example(
            record,
            {"label": tf.io.FixedLenFeature([], tf.string), "fps": tf.io.FixedLenFeature([], tf.float32, -1.0)},
            {"frames": tf.io.FixedLenSequenceFeature([], tf.string)},
        )
        steps = lists["frames"].numpy().tolist()
        seen = context["label"].numpy(), float(context["fps"]), levels(steps)
        assert seen in [(b"a", 10.0, [0, 20, 40]), (b"b", -1.0, [50])]
        assert set(tf.train.SequenceExample.FromString(record).context.feature) <= {"label", "fps", "file"}


def test_bad_clips_are_named_with_the_frame(tmp_path: Path) -> None:
    good = saved(grey(0), "PNG")
    noisy = saved(tiles(), "GIF", save_all=True, append_images=[tiles(seed=1), tiles(seed=2)], duration=50)
    write(tmp_path / "in", a__good__1_png=good, a__cut__1_png=good, a__cut__2_png=good[:-20], a__still_gif=good)
    write(tmp_path / "in", a__cut_gif=noisy[:-100], a__notes_txt=b"x", a__nested__deeper__1_png=good)
    (tmp_path / "in" / "a" / "empty").mkdir()
    done = converted(from_video.in_folders(tmp_path / "in", Frames()), tmp_path, "skip")
    said = dict(line.split(": ", 1) for line in done.bad)
    assert said.pop("a/cut").startswith("2.png: does not decode: ")
    assert said.pop("a/cut.gif").startswith("does not decode: ")
    assert said == {
        "a/still.gif": "is a single image; a clip must be a folder of frames, an animation or a video file",
        "a/notes.txt": "is neither a folder of frames nor, by its extension, an animation or video file",
        "a/nested": "deeper: cannot be read: Is a directory",
        "a/empty": "the folder contains no frames",
    }
    with pytest.raises(UserError, match="a/good: --frames-per-second: a folder of frames has no frame rate"):
        converted(from_video.in_folders(tmp_path / "in", Frames(per_second=5)), tmp_path, overwrite=True)


def test_video_files_ask_for_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    write(tmp_path / "in", a__1_mp4=b"", a__2_AVI=b"", a__clip__1_png=b"")
    with pytest.raises(UserError, match=r"2 video files require PyAV, .* install .*'av>=14'\. Folders"):
        from_video.in_folders(tmp_path / "in", Frames())


def film(path: Path, count: int, rate: int, codec: str = "mpeg4") -> None:
    """A video whose upper left corner is red and which gets lighter by 10 in each frame."""
    av = pytest.importorskip("av", reason="PyAV, of the extra `video`, is not installed")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = 48, 64, "yuv420p", 8_000_000
        for number in range(count):
            frame = np.full([48, 64, 3], 10 * number, np.uint8)
            frame[:16, :16] = [255, 0, 0]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


@pytest.mark.parametrize("ending", ["mp4", "avi", "mkv", "MOV"])
def test_video_files(tmp_path: Path, ending: str) -> None:
    film(tmp_path / "in" / "a" / f"clip.{ending}", count=20, rate=10)
    for wanted, numbers, rate in (
        (Frames(), range(20), 10.0),
        (Frames(per_second=5, most=6), range(0, 12, 2), 5.0),
        (Frames(size=(24, 32), most=4), range(4), 10.0),
    ):
        converted(from_video.in_folders(tmp_path / "in", wanted), tmp_path, overwrite=True)
        (row,) = rows_of(tmp_path / "out")
        assert row["fps"] == [rate] and row["file"] == [f"a/clip.{ending}".encode()]
        found = np.stack([pixels(frame) for frame in row["frames"]]).astype(int)
        height, width = wanted.size or (48, 64)
        assert found.shape == (len(numbers), height, width, 3)
        assert np.abs(found[:, height // 2 :, width // 2 :].mean(axis=(1, 2, 3)) - 10 * np.array(numbers)).max() < 5
        assert found[:, 2, 2, 0].min() > 200 > 100 > found[:, 2, 2, 2].max()


@pytest.mark.parametrize(("matrix", "corner"), [((0, 1, -1, 0), (2, -3)), ((-1, 0, 0, -1), (-3, -3))])
def test_a_phone_s_film_is_upright(tmp_path: Path, matrix: tuple[int, ...], corner: tuple[int, int]) -> None:
    """A quarter turn clockwise takes the upper left corner to the upper right, half a turn to the lower right."""
    path = tmp_path / "in" / "a" / "clip.mp4"
    film(path, count=3, rate=10)
    data = path.read_bytes()
    fixed = [value << 16 for value in matrix]
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turn = struct.pack(">9i", fixed[0], fixed[1], 0, fixed[2], fixed[3], 0, 0, 0, 1 << 30)
    header = data.index(b"tkhd")
    place = data.index(identity, header)
    path.write_bytes(data[:place] + turn + data[place + len(turn) :])
    converted(from_video.in_folders(tmp_path / "in", Frames(most=1)), tmp_path)
    found = pixels(rows_of(tmp_path / "out")[0]["frames"][0])
    assert found.shape == ((64, 48, 3) if matrix[0] == 0 else (48, 64, 3))
    assert found[corner][0] > 200 > 100 > found[corner][2]


def test_broken_video_files_are_bad(tmp_path: Path) -> None:
    film(tmp_path / "in" / "a" / "good.mp4", count=10, rate=10)
    data = (tmp_path / "in" / "a" / "good.mp4").read_bytes()
    write(tmp_path / "in", a__cut_mp4=data[: len(data) // 2], a__text_avi=b"hello", a__empty_mkv=b"")
    done = converted(from_video.in_folders(tmp_path / "in", Frames()), tmp_path, "skip")
    assert [row["file"] for row in rows_of(tmp_path / "out")] == [[b"a/good.mp4"]]
    said = sorted(line.split(": ")[:2] for line in done.bad)
    assert said == [[f"a/{name}", "does not decode"] for name in ("cut.mp4", "empty.mkv", "text.avi")]
