"""`hubline init`: the data's profile, the suggestions, and that the file it writes is valid."""

import importlib.util
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import fastavro
import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from ruamel.yaml import YAML
from sklearn.metrics import f1_score
from typer.testing import CliRunner

from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.init.command import init
from hubline.pipeline.init.tables import tables_in
from hubline.pipeline.preflight import check
from tests.support.example_data import feature, labelled, random_image, record, write_tfrecord
from tests.support.hub_modules import mean_colour

SILENT = Console(file=io.StringIO())


def passes_check(path: Path) -> PipelineFile:
    file, _, _ = check(path)
    return file


def tabular(count: int = 300) -> list[bytes]:
    rng = np.random.default_rng(1)
    return [
        record(
            id=number,
            price=float(rng.lognormal(3, 2)),
            hour=int(rng.integers(0, 24)),
            colour=str(rng.choice(["red", "green"])),
            when=int(1.6e9 + number * 4321),
            lat=float(rng.normal(41, 1)),
            lon=float(rng.normal(-87, 1)),
            label=int(rng.integers(0, 2)),
            **({"note": f"what a very fine day number {number}"} if number % 5 else {}),
        )
        for number in range(count)
    ]


def test_init_writes_a_file_that_check_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my {1} taxi").mkdir()
    monkeypatch.chdir(tmp_path / "my {1} taxi")
    write_tfrecord(Path("data/a.tfrecord"), tabular())
    done = CliRunner().invoke(app, ["init", "data", "--json"])
    said = json.loads(done.stdout.splitlines()[-1])
    assert (done.exit_code, said["status"], said["records"], said["sampled"]) == (0, "succeeded", 300, False)
    assert said["left_out"].keys() == {"id"}
    checked = CliRunner().invoke(app, ["check", "pipeline.yaml"])
    assert checked.exit_code == 0, checked.output
    text = Path("pipeline.yaml").read_text()
    file = passes_check(Path("pipeline.yaml"))
    assert file.name == "my-1-taxi" and "examples: data\n" in text
    assert {name: each.kind for name, each in file.features.items()} == {
        "price": "numeric",
        "hour": "categorical",
        "colour": "categorical",
        "when_hour": "timestamp",
        "when_weekday": "timestamp",
        "lat": "numeric",
        "lon": "numeric",
        "lat_bucket": "bucketized",
        "lon_bucket": "bucketized",
        "place": "crossed",
        "note": "text",
    }
    assert "20.0% missing" in text and "'green'" in text
    assert max(map(len, text.splitlines())) <= 120
    assert not list(Path().glob(".pipeline*"))


def test_a_column_with_a_long_name_stays_readable(tmp_path: Path) -> None:
    name = "long " * 300
    write_tfrecord(tmp_path / "data" / "a", [record(**{name: n / 7, "label": n % 2}) for n in range(20)])
    init(str(tmp_path / "data"), None, None, tmp_path / "pipeline.yaml", False, SILENT)
    (feature_name,) = (file := passes_check(tmp_path / "pipeline.yaml")).features
    assert file.features[feature_name].column == name and len(feature_name) == 200


def test_init_of_records_with_several_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tags = rng.random([100, 3]) < [0.6, 0.3, 0.1]
    names = [[name for name, has in zip(("sea", "sky", "sand"), row, strict=True) if has] for row in tags]
    records = [record(x=n / 7, **({"tags": feature(*row)} if row else {})) for n, row in enumerate(names)]
    write_tfrecord(tmp_path / "data" / "a", records)
    init(str(tmp_path / "data"), "tags", None, tmp_path / "pipeline.yaml", False, SILENT)
    file, text = passes_check(tmp_path / "pipeline.yaml"), (tmp_path / "pipeline.yaml").read_text()
    assert file.label.kind == "multilabel" and file.label.classes == ("sand", "sea", "sky")
    assert file.evaluation.thresholds.keys() == {"f1"} and file.data.bad_records.policy == "fail"
    always_sea = f1_score(tags, np.tile([True, False, False], [100, 1]), average="micro")
    assert f"always saying 'sea' alone, the most frequent class, has an f1 of {always_sea:.3f}" in text


@pytest.mark.parametrize("where", ["", "elsewhere/deep"])
@pytest.mark.parametrize("given", ["data/*.tfrecord", "data/a.tfrecord", "data", "{absolute}/data"])
def test_the_examples_count_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, given: str
) -> None:
    root = tmp_path / "of {SPAN} x*"
    (root / where).mkdir(parents=True)
    write_tfrecord(root / "data" / "a.tfrecord", [record(x=float(n), label=n % 2) for n in range(20)])
    monkeypatch.chdir(root)
    output = Path(where, "pipeline.yaml")
    init(given.format(absolute=root), None, None, output, False, SILENT)
    monkeypatch.chdir(tmp_path)
    passes_check(root / output)


def test_a_quantity_is_learned_as_a_number(tmp_path: Path) -> None:
    prices = np.random.default_rng(0).lognormal(9, 1, 300)
    write_tfrecord(tmp_path / "data" / "a", [record(x=n / 7, price=float(price)) for n, price in enumerate(prices)])
    output = tmp_path / "pipeline.yaml"
    init(str(tmp_path / "data"), "price", None, output, False, SILENT)
    file = passes_check(output)
    assert (file.label.kind, file.label.normalize) == ("regression", "log")
    assert file.evaluation.metrics == ("rmse", "mae", "r2")
    threshold = file.evaluation.thresholds["rmse"].no_worse_than_serving_by
    assert threshold == pytest.approx(0.01 * prices.std(), rel=0.05)
    said = f"always saying the mean, {prices.mean():.4g}, is off by an rmse of {prices.std():.4g}"
    assert said in " ".join(output.read_text().split())


@pytest.mark.slow
def test_init_with_a_module(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "data" / "a", labelled(40))
    mean_colour(tmp_path / "module")
    output = tmp_path / "pipeline.yaml"
    init(str(tmp_path / "data"), None, str(tmp_path / "module"), output, False, SILENT)
    file = passes_check(output)
    assert file.features["image"].size == (8, 8) and file.hubs["image_module"].inputs == {"images": "image"}
    assert "handle: module," in output.read_text()


def test_images_without_a_module_are_comments(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "data" / "a", [record(image=random_image(n), x=n / 7, label=n % 2) for n in range(20)])
    output = tmp_path / "pipeline.yaml"
    init(str(tmp_path / "data"), None, None, output, False, SILENT)
    assert passes_check(output).features.keys() == {"x"}
    # The commented-out keys are valid when uncommented.
    text = output.read_text().replace("  # image:", "  image:").replace("# hubs:", "hubs:")
    values = YAML(typ="safe", pure=True).load(text.replace("#   image_module:", "  image_module:"))
    assert PipelineFile.model_validate(values).hubs["image_module"].inputs == {"images": "image"}


def test_init_overwrites_nothing_unless_told(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "data" / "a", [record(x=float(n), label=n % 2) for n in range(20)])
    output = tmp_path / "pipeline.yaml"
    output.write_text("mine")
    arguments = str(tmp_path / "data"), None, None, output
    with pytest.raises(UserError, match=r"already exists.*--overwrite"):
        init(*arguments, False, SILENT)
    assert output.read_text() == "mine"
    init(*arguments, True, SILENT)
    passes_check(output)


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (".", "this is a folder"),
        ("nowhere/p.yaml", "no such folder"),
        ("data/p.yaml", "every file in .* would be data"),
    ],
)
def test_init_refuses_a_place_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, says: str
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=says):
        init("data", None, None, Path(output), False, SILENT)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["a.tfrecord.gz", "b.tfrecord.gz"], "*.tfrecord.gz"),
        (["a.tfrecord"], "a.tfrecord"),
        (["train-00000-of-00002", "train-00001-of-00002"], "train-0000*-of-00002"),
        (["a[1].tfrecord", "b[1].tfrecord"], "*[[]1].tfrecord"),
    ],
)
def test_init_names_a_pattern_for_the_tfrecords_of_a_mixed_folder(
    tmp_path: Path, names: list[str], pattern: str
) -> None:
    for name in names:
        write_tfrecord(tmp_path / "data" / name, [record(x=float(n), label=n % 2) for n in range(20)])
    for other in ("one.png", "two.PNG", "notes.txt", ".hidden.csv"):
        (tmp_path / "data" / other).write_text("no record")
    with pytest.raises(UserError) as error:
        init(str(tmp_path / "data"), None, None, tmp_path / "p.yaml", False, SILENT)
    assert f"(2 .png, 1 .txt); use a pattern such as '{tmp_path / 'data' / pattern}'" in str(error.value)
    init(str(tmp_path / "data" / pattern), None, None, tmp_path / "p.yaml", False, SILENT)
    passes_check(tmp_path / "p.yaml")


def test_init_names_no_pattern_that_matches_other_files(tmp_path: Path) -> None:
    for name in ("data1", "data2"):
        write_tfrecord(tmp_path / "data" / name, [record(x=1.0, label=0)])
    (tmp_path / "data" / "data.csv").write_text("x")
    with pytest.raises(UserError, match=r"\(1 \.csv\); move those to another folder"):
        init(str(tmp_path / "data"), None, None, tmp_path / "p.yaml", False, SILENT)


def test_tables_are_known_by_their_endings(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv.gz", ".hidden"):
        (tmp_path / "tables" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "tables" / name).touch()
    both = [tmp_path / "tables" / "a.csv.gz", tmp_path / "tables" / "b.csv"]
    assert tables_in(str(tmp_path / "tables")) == tables_in(f"{tmp_path}/tables/*.csv*") == both
    assert tables_in(str(both[1])) == both[1:]
    (tmp_path / "tables" / "c.parquet").touch()
    assert (
        not tables_in(str(tmp_path / "tables")) and not tables_in(f"{tmp_path}/none") and not tables_in("s3://b/a.csv")
    )


def test_the_command_for_an_avro_file_writes_its_rows(tmp_path: Path) -> None:
    rows = [{"miles": 1.5, "company": "a"}, {"miles": None, "company": "b"}]
    fields = [{"name": "miles", "type": ["null", "double"]}, {"name": "company", "type": "string"}]
    with (tmp_path / "my trips.avro").open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema({"type": "record", "name": "trip", "fields": fields}), rows)
    with pytest.raises(UserError) as error:
        init(str(tmp_path / "my trips.avro"), "company", None, tmp_path / "p.yaml", False, SILENT)
    first, then = str(error.value).splitlines()
    subprocess.run(shlex.split(first.partition(", by: ")[2]), check=True)
    assert then == f"then: hubline init '{tmp_path}/my trips.parquet'"
    written = pd.read_parquet(tmp_path / "my trips.parquet")
    assert written.columns.tolist() == ["miles", "company"] and written["company"].tolist() == ["a", "b"]
    assert written["miles"].iloc[0] == 1.5 and np.isnan(written["miles"].iloc[1])


def test_a_table_that_needs_options_leads_to_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("when,label\n03/04/2024,1\n05/06/2024,0\n")
    with pytest.raises(UserError) as error:
        init(str(tmp_path / "a.csv"), None, None, tmp_path / "p.yaml", False, SILENT)
    assert "--date-format when=DMY" in str(error.value)
    assert f"hubline convert csv {tmp_path}/a.csv --output {tmp_path}/a-tfrecords\n" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_the_same_table_can_be_tried_again_with_what_was_missing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{number % 7 / 2},{number % 5},{number}" for number in range(60)]
    Path("trips.csv").write_text("\n".join(["miles,fare,id", *rows]))

    def tried(*more: str) -> str:
        done = CliRunner().invoke(app, ["init", "trips.csv", *more])
        assert isinstance(done.exception, UserError), done.output
        assert [path.name for path in tmp_path.iterdir()] == ["trips.csv"]
        return str(done.exception)

    assert "pass --label COLUMN; the columns are: miles, fare, id" in tried()
    assert "there is no column 'fares'" in tried("--label", "fares")
    assert "--keep speed: there is no such column" in tried("--label", "fare", "--keep", "speed")
    again = CliRunner().invoke(app, ["init", "trips.csv", "--label", "fare"])
    assert again.exit_code == 0, again.output
    assert passes_check(Path("pipeline.yaml")).features.keys() == {"miles"}
    shards = {path: path.read_bytes() for path in Path("trips-tfrecords").iterdir()}
    failed = CliRunner().invoke(app, ["init", "trips.csv", "--label", "fare", "--keep", "speed", "--overwrite"])
    assert isinstance(failed.exception, UserError)
    assert {path: path.read_bytes() for path in Path("trips-tfrecords").iterdir()} == shards


def test_the_penguins(tmp_path: Path, shared_data: Path) -> None:
    rows = pd.read_csv(next((shared_data / "penguin" / "labelled").glob("*.csv")))
    write_tfrecord(
        tmp_path / "data" / "a",
        [record(**{k: int(v) if k == "species" else float(v) for k, v in row.items()}) for _, row in rows.iterrows()],
    )
    init(str(tmp_path / "data"), "species", None, tmp_path / "pipeline.yaml", False, SILENT)
    file = passes_check(tmp_path / "pipeline.yaml")
    assert file.label.class_names(None) == ["0", "1", "2"]  # type: ignore[arg-type]
    assert {each.kind for each in file.features.values()} == {"numeric"} and len(file.features) == 4


@pytest.mark.slow
@pytest.mark.parametrize("label", ["tips", "payment_type"])
def test_the_taxis_of_tfx(tmp_path: Path, label: str) -> None:
    tfx = importlib.util.find_spec("tfx")
    assert tfx is not None and tfx.origin is not None
    taxis = Path(tfx.origin).parent / "components" / "testdata" / "csv_example_gen" / "Split-train"
    init(str(taxis), label, None, tmp_path / "pipeline.yaml", False, SILENT)
    file = passes_check(tmp_path / "pipeline.yaml")
    assert file.label.kind == {"tips": "regression", "payment_type": "class"}[label]
    assert file.features["trip_miles"].normalize == file.features["fare"].normalize == "log1p"
    assert file.features["trip_start_hour"].identity == 24
    assert file.features["trip_start_timestamp_weekday"].kind == "timestamp"
    assert set(file.model.wide) == {"pickup_place", "dropoff_place"}


@pytest.mark.slow
def test_suggestions_need_no_tensorflow() -> None:
    program = (
        "import sys, hubline.pipeline.init.suggest, hubline.pipeline.init.write; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
