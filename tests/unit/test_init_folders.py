"""`hubline init` on folders and tables: clutter, other layouts, and the TFRecords that it makes of them."""

import io
import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
import tensorflow as tf
from rich.console import Console
from typer.testing import CliRunner

from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.pipeline.init.class_folders import class_folders_in
from hubline.pipeline.init.command import init
from hubline.pipeline.init.tables import tables_in
from tests.support.example_data import random_image, record, write_tfrecord

SILENT = Console(file=io.StringIO())


def images(*folders: Path, count: int = 12) -> None:
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / f"{number}.png").write_bytes(random_image(number, 9, 9))


def table(path: Path, first: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x,label\n" + "".join(f"{first + number / 7},{number % 2}\n" for number in range(40)))
    return path


def said_by(examples: str, output: Path, **options) -> dict:
    """What `hubline init --json` says."""
    flags = [f"--{name}={value}" if value is not True else f"--{name}" for name, value in options.items()]
    done = CliRunner().invoke(app, ["init", examples, "--output", str(output), "--json", *flags])
    if done.exception:
        raise done.exception
    return json.loads(done.stdout.splitlines()[-1])


def refusal(examples: Path | str, output: Path, overwrite: bool = False) -> str:
    with pytest.raises(UserError) as error:
        init(str(examples), None, None, output, overwrite, SILENT)
    return str(error.value)


def records_in(folder: Path) -> int:
    return sum(1 for _ in tf.data.TFRecordDataset([str(path) for path in sorted(folder.glob("*.tfrecord"))]))


def test_clutter_in_class_folders_is_ignored(tmp_path: Path) -> None:
    data = tmp_path / "data"
    images(data / "cat", data / "dog")
    for name in ("cat/Thumbs.db", "dog/thumbs.db", "desktop.ini", "cat/Desktop.ini", ".DS_Store", "dog/.DS_Store"):
        (data / name).write_bytes(b"clutter")
    (data / "__MACOSX" / "cat").mkdir(parents=True)
    (data / "cat" / "@eaDir").mkdir()
    (data / "cat" / "raw").mkdir()
    (data / "cow").mkdir()
    said = said_by(str(data), tmp_path / "p.yaml", backbone="lenet5")
    assert (said["records"], said["label"]["classes"]) == (24, ["cat", "dog"])
    assert records_in(tmp_path / "data-tfrecords") == 24


def test_other_files_beside_images_are_named(tmp_path: Path) -> None:
    data = tmp_path / "my data"
    images(data / "cat")
    (data / "cat" / "readme.txt").write_text("cats")
    (data / "LICENSE").write_text("free")
    said = refusal(data, tmp_path / "p.yaml")
    assert said.startswith(
        f"{data}: holds folders of images, one per class, and 2 other files (LICENSE, cat/readme.txt); move those away"
    )
    command = shlex.split(said.partition(" by: hubline ")[2])
    assert CliRunner().invoke(app, command).exit_code == 0
    assert records_in(tmp_path / "my data-tfrecords") == 12


def test_folders_of_splits_are_told_from_classes(tmp_path: Path) -> None:
    images(*(tmp_path / "data" / split / name for split in ("test", "train") for name in ("cat", "dog")))
    first, keep, *commands = refusal(tmp_path / "data", tmp_path / "p.yaml").splitlines()
    assert "its folders (test, train) hold no images but folders (cat, dog); to learn from one: hubline init" in first
    assert first.endswith(f"hubline init {tmp_path}/data/train") and keep.endswith(
        "name the new folders in data.split:"
    )
    for command in commands:
        assert CliRunner().invoke(app, shlex.split(command)[1:]).exit_code == 0
    assert [records_in(tmp_path / f"data-{split}-tfrecords") for split in ("test", "train")] == [24, 24]
    images(tmp_path / "clips" / "run" / "first", tmp_path / "clips" / "walk" / "second")
    said = refusal(tmp_path / "clips", tmp_path / "p.yaml")
    assert "its folders (run, walk) hold no images but folders (first, second); if those are the classes" in said
    assert f"a folder of frames: hubline convert video {tmp_path}/clips" in said


def test_what_holds_no_classes_is_named(tmp_path: Path) -> None:
    images(tmp_path / "flat")
    (tmp_path / "flat" / "Thumbs.db").write_bytes(b"clutter")
    said = refusal(tmp_path / "flat", tmp_path / "p.yaml")
    assert "flat: holds 12 images and no folders; a class is known by its folder" in said
    assert f"hubline convert images {tmp_path}/flat --output {tmp_path}/flat-tfrecords --labels LABELS.csv" in said
    (tmp_path / "flat" / "labels.csv").write_text("file,label\n" + "".join(f"{n}.png,{n % 2}\n" for n in range(12)))
    (tmp_path / "flat" / "LICENSE").write_text("free")
    said = refusal(tmp_path / "flat", tmp_path / "p.yaml")
    assert "holds 12 images, beside LICENSE, labels.csv, and no folders" in said
    assert CliRunner().invoke(app, shlex.split(said.splitlines()[1].partition(": hubline ")[2])).exit_code == 0
    assert records_in(tmp_path / "flat-tfrecords") == 12
    for name in ("cat", "dog"):
        (tmp_path / "empty" / name).mkdir(parents=True)
    assert "empty: its folders (cat, dog) are empty" in refusal(tmp_path / "empty", tmp_path / "p.yaml")


def test_tfrecords_are_no_class_folders(tmp_path: Path) -> None:
    records = [record(x=n / 7, label=n % 2) for n in range(20)]
    write_tfrecord(tmp_path / "parts" / "one" / "a.tfrecord", records)
    said = refusal(tmp_path / "parts", tmp_path / "p.yaml")
    assert (
        f"holds folders (one) and no files; for TFRecords in those, use a pattern such as '{tmp_path}/parts/*/*'"
        in said
    )
    assert said_by(f"{tmp_path}/parts/*/*", tmp_path / "p.yaml")["records"] == 20
    images(tmp_path / "mixed")
    write_tfrecord(tmp_path / "mixed" / "train-00000-of-00001", records)
    assert class_folders_in(str(tmp_path / "mixed")) is None
    assert "use a pattern such as" in refusal(tmp_path / "mixed", tmp_path / "q.yaml")
    write_tfrecord(tmp_path / "cluttered" / "a.tfrecord", records)
    (tmp_path / "cluttered" / "desktop.ini").write_bytes(b"clutter")
    assert "(1 .ini); use a pattern such as" in refusal(tmp_path / "cluttered", tmp_path / "q.yaml")


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["a.train.csv", "a.test.csv"], ["a.train-tfrecords", "a.test-tfrecords"]),
        (["2024.01.csv", "2024.02.CSV"], ["2024.01-tfrecords", "2024.02-tfrecords"]),
    ],
)
def test_each_table_has_a_folder_of_its_own(tmp_path: Path, names: list[str], folders: list[str]) -> None:
    for number, name in enumerate(names):
        table(tmp_path / name, first=100.0 * number)
        said = said_by(str(tmp_path / name), tmp_path / f"{number}.yaml")
        assert said["examples"] == str(tmp_path / folders[number]) and records_in(tmp_path / folders[number]) == 40


def test_records_of_other_data_are_not_replaced(tmp_path: Path) -> None:
    images(tmp_path / "photos" / "cat", tmp_path / "photos" / "dog")
    table(tmp_path / "photos.csv")
    said_by(str(tmp_path / "photos"), tmp_path / "p.yaml", backbone="lenet5")
    folder = tmp_path / "photos-tfrecords"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for overwrite in (False, True):
        said = refusal(tmp_path / "photos.csv", tmp_path / ("p.yaml" if overwrite else "q.yaml"), overwrite)
        assert said.startswith(
            f"{folder}: {tmp_path}/photos.csv would be converted to this folder, which was made of {tmp_path}/photos;"
        )
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert said_by(str(tmp_path / "photos"), tmp_path / "p.yaml", backbone="lenet5", overwrite=True)["records"] == 24


def test_records_of_another_command_are_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path / "a.csv")
    converted = ["convert", "csv", str(tmp_path / "a.csv"), "--output", str(tmp_path / "a-tfrecords")]
    assert CliRunner().invoke(app, converted).exit_code == 0
    assert "which was not made by hubline init" in refusal(tmp_path / "a.csv", tmp_path / "p.yaml", True)
    # The data may be named in another way, and moved with its TFRecords.
    (tmp_path / "one").mkdir()
    table(tmp_path / "one" / "b.csv")
    monkeypatch.chdir(tmp_path / "one")
    said_by("b.csv", Path("p.yaml"))
    (tmp_path / "one").rename(tmp_path / "two")
    monkeypatch.chdir(tmp_path)
    assert said_by(str(tmp_path / "two" / "b.csv"), Path("two/p.yaml"), overwrite=True)["records"] == 40
    # A conversion of the user's own replaces the records, and the note with them.
    assert CliRunner().invoke(app, [*converted[:3], "--output", "two/b-tfrecords", "--overwrite"]).exit_code == 0
    assert "which was not made by hubline init" in refusal("two/b.csv", Path("two/p.yaml"), True)


def test_a_folder_named_like_a_table_holds_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        table(tmp_path / "spark" / "x.csv" / f"part-{number}.csv", 100.0 * number)
    (tmp_path / "spark" / "x.csv" / "_SUCCESS").touch()
    (tmp_path / "spark" / "x.csv" / ".part-0.csv.crc").touch()
    parts = [tmp_path / "spark" / "x.csv" / f"part-{number}.csv" for number in range(2)]
    monkeypatch.chdir(tmp_path)
    assert (
        tables_in(f"{tmp_path}/spark/*.csv") == tables_in(f"{tmp_path}/spark") == tables_in(f"{tmp_path}/spark/x.csv")
    )
    assert tables_in(f"{tmp_path}/spark") == parts
    said = said_by("spark/*.csv", Path("p.yaml"))
    assert said["records"] == 80 and Path(said["examples"]).name == "x-tfrecords"
    frame = pd.DataFrame({"x": [n / 7 for n in range(40)], "label": [n % 2 for n in range(40)]})
    (tmp_path / "y.parquet").mkdir()
    frame.to_parquet(tmp_path / "y.parquet" / "part-0.snappy.parquet")
    assert said_by("y.parquet", Path("q.yaml"))["records"] == 40 and (tmp_path / "y-tfrecords").is_dir()


def test_a_pipeline_file_is_not_written_among_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(tmp_path / "tables" / "a.csv")
    monkeypatch.chdir(tmp_path / "tables")
    said = refusal(".", Path("pipeline.yaml"))
    assert "use a pattern for the tables, such as '*.csv', or choose a file elsewhere with --output" in said
    assert said_by("*.csv", Path("pipeline.yaml"))["records"] == 40
    assert said_by("*.csv", Path("pipeline.yaml"), overwrite=True)["records"] == 40
    images(tmp_path / "photos" / "cat")
    monkeypatch.chdir(tmp_path / "photos")
    assert "would lie among the folders of the data" in refusal(".", Path("pipeline.yaml"))
    (tmp_path / "records").mkdir()
    monkeypatch.chdir(tmp_path / "records")
    write_tfrecord(Path("a.tfrecord"), [record(x=1.0, label=0)])
    assert "every file in . would be data; choose a file elsewhere" in refusal(".", Path("pipeline.yaml"))
