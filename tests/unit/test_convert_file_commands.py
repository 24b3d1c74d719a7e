"""`hubline convert` for images, texts and clips on the command line, and `hubline init` on the result."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from PIL import Image
from rich.console import Console

from hubline.pipeline.convert import from_images, from_text, from_video
from hubline.pipeline.convert.from_video import Frames
from hubline.pipeline.init.command import init
from hubline.pipeline.load import load
from hubline.preprocessing.examples import flattened
from hubline.trainer.inputs import encoded_images, pixels_of_batch
from tests.support import example_data, hub_modules
from tests.support.conversion import rows_of, run
from tests.support.files_to_convert import converted, saved, tiles, write

# The commands


@pytest.mark.slow
def test_the_command_shows_columns_classes_and_what_is_next(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (photos / "dog" / "1.png").unlink()
    write(photos, cat__broken_jpg=b"no", cat__100_tif=saved(tiles(), "TIFF"))
    assert run(monkeypatch, "images", photos, "--output", tmp_path / "out", "--bad", "skip", "--gzip") == 0
    printed = [" ".join(line.split()) for line in capfd.readouterr().out.splitlines()]
    first = rows_of(tmp_path / "out")[0]
    form = Image.open(io.BytesIO(first["image"][0])).format
    assert printed[:-2] == [
        "12 rows",
        "column type missing example",
        f"image bytes {form}, {len(first['image'][0]):,} bytes",
        f"label bytes {first['label'][0].decode()}",
        f"file bytes {first['file'][0].decode()}",
        "",
        "label count share",
        "cat 7 58.3%",
        "dog 5 41.7%",
        "1 images encoded again as PNG, from TIFF",
        "cat/broken.jpg: is not an image: it starts with b'no'",
        "1 bad, left out",
    ]
    assert printed[-2].startswith(f"12 examples in 1 file in {tmp_path}/out, ")
    assert printed[-1] == f"Next: hubline init {tmp_path}/out"


def test_the_commands_print_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in", a__1_txt=b"one", b__2_txt=b"\xff")
    arguments = ["text", tmp_path / "in", "--output", tmp_path / "out", "--json"]
    assert run(monkeypatch, *arguments) == 2
    said = json.loads(capfd.readouterr().out)
    assert said["status"] == "mistake" and said["error"].startswith(
        "b/2.txt: byte 0xff at 0 is not UTF-8\n1 bad, 1 good"
    )
    assert run(monkeypatch, *arguments, "--bad", "skip") == 0
    said = json.loads(capfd.readouterr().out)
    assert said["classes"] == {"a": 1} and said["bad"] == ["b/2.txt: byte 0xff at 0 is not UTF-8"] and said["rows"] == 1
    assert [column["name"] for column in said["columns"]] == ["text", "label", "file"] and said["notes"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["images", "nowhere"], "nowhere: there is no such folder\n"),
        (["images", "in", "--labels", "nowhere.csv"], "nowhere.csv: there is no such file\n"),
        (["images", "in", "--separator", "|"], "--separator, --file-column and --label-column require --labels\n"),
        (
            ["text", "in", "--labels", "x"],
            "--labels x: requires a file with one text per line; in is a folder, whose subfolders are the labels\n",
        ),
        (["text", "nowhere.txt"], "nowhere.txt: there is no such file\n"),
        (["video", "in", "--size", "12"], "--size 12: must be HEIGHTxWIDTH in pixels, such as 112x112\n"),
        (["video", "in", "--size", "0x12"], "--size 0x12: must be HEIGHTxWIDTH"),
        (["boxes", "nowhere", "--images", "in"], "nowhere: there is no such file or folder\n"),
        (["images", "in", "--output", "in"], "in: contains files that no conversion wrote (a); use another folder\n"),
    ],
)
def test_mistakes_end_with_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("in"), a__1_png=example_data.random_image(0))
    command, *rest = arguments
    assert run(monkeypatch, command, "--output", "out", *rest) == 2
    assert capfd.readouterr().err.replace(f"{tmp_path}/", "").startswith(said)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.slow
def test_help_and_mistakes_need_no_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    script = (
        "import sys\n"
        "from hubline.pipeline.cli import main\n"
        "commands = ['images', 'text', 'video', 'boxes']\n"
        "helps = [[name, '--help'] for name in commands]\n"
        "mistakes = [[name, sys.argv[1], *(['--images', '.'] if name == 'boxes' else []), '--output', 'out']\n"
        "            for name in commands]\n"
        "for arguments in helps + mistakes:\n"
        "    sys.argv = ['hubline', 'convert', *arguments]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as end:\n"
        "        print(end.code)\n"
        "print('tensorflow' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path / "in")], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-5:] == ["2", "2", "2", "2", "False"], ran.stderr
    assert ran.stdout.count("Example: hubline convert") == 6


# hubline init


@pytest.mark.slow
def test_init_makes_a_file_of_converted_images(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    converted(from_images.in_folders(photos), tmp_path)
    hub_modules.mean_colour(Path("module"))
    outcome = init("out", None, "module", Path("pipeline.yaml"), False, Console(quiet=True))
    assert outcome["features"] == {"image": {"kind": "image", "size": [8, 8]}}
    assert outcome["label"] == {"from": "label", "kind": "class", "classes": ["cat", "dog"]}
    assert list(outcome["left_out"]) == ["file"]
    pipeline, _ = load(Path("pipeline.yaml"))
    assert list(pipeline.features) == ["image"]


@pytest.mark.slow
@pytest.mark.parametrize("in_steps", [False, True])
def test_init_makes_a_file_of_converted_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_steps: bool) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        for frame in range(2 + number):
            label = ("jump", "walk")[number % 2]
            write(Path("in"), **{f"{label}__{number}__{frame}_png": example_data.random_image(10 * number + frame)})
    converted(from_video.in_folders(Path("in"), Frames(), sequence_examples=in_steps), tmp_path)
    takes = tf.TensorSpec([None, 4, 8, 8, 3], tf.float32)
    hub_modules.module(Path("module"), takes, lambda clips: tf.reduce_mean(clips, [2, 3, 4]))
    outcome = init("out", None, "module", Path("pipeline.yaml"), False, Console(quiet=True))
    assert outcome["features"] == {"frames": {"kind": "video", "frames": 4, "size": [8, 8]}}
    assert outcome["label"] == {"from": "label", "kind": "class", "classes": ["jump", "walk"]}
    pipeline, _ = load(Path("pipeline.yaml"))
    # The feature reads what was written.
    records = flattened(tf.constant(example_data.read_tfrecord(next(Path("out").iterdir()))))
    parsed = tf.io.parse_example(records, {"frames": tf.io.VarLenFeature(tf.string)})
    clips = pixels_of_batch(pipeline.features, encoded_images(pipeline.features, parsed))["frames"]
    assert clips.shape == (8, 4, 8, 8, 3) and len({clip.numpy().tobytes() for clip in clips}) == 8


def test_init_makes_a_file_of_converted_texts_without_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(30):
        label = ("bad", "good")[number % 2]
        write(Path("in"), **{f"{label}__my {label} review no {number}_txt": f"it was a {label} film {number}".encode()})
    converted(from_text.in_folders(Path("in")), tmp_path)
    outcome = init("out", None, None, Path("pipeline.yaml"), False, Console(quiet=True))
    # Words in file names would reveal the class.
    assert list(outcome["features"]) == ["text"] and list(outcome["left_out"]) == ["file"]
    load(Path("pipeline.yaml"))
