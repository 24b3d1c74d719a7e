"""`hubline schema`: what it shows of the data, and what it freezes."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow_data_validation as tfdv
from typer.testing import CliRunner

from hubline.artifacts.column_statistics import by_column, present
from hubline.core.errors import DataError, UserError
from hubline.pipeline import schema as schemas
from hubline.pipeline.cli import app
from hubline.pipeline.load import load
from tests.support import example_data
from tests.support.project import make_project

COLOURS = ["red", "green", "blue", "black", "white", "grey", "brown"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A pipeline file whose data has columns of every type, including an optional one and one with several values."""
    rng = np.random.default_rng(0)
    records = []
    for number, item in enumerate(example_data.labelled(120)):
        columns = {"age": float(rng.normal(40, 9)), "colour": COLOURS[number % 7]}
        columns |= {"seat": number} if number % 3 else {}
        columns["scores"] = example_data.feature(*range(1 + number % 4))
        records.append(item + example_data.record(**columns))
    return make_project(tmp_path_factory.mktemp("project"), records=records)


@pytest.fixture(scope="module")
def described(project: Path) -> schemas.DataDescription:
    return schemas.describe(project, load(project)[0], None, read=False)


@pytest.mark.both_stacks
def test_the_schema_of_the_data_is_inferred_and_shown(described: schemas.DataDescription) -> None:
    rows = {row["column"]: row for row in schemas.columns(described)}
    shown = {name: (row["type"], row["presence"], row["values"], row["domain"]) for name, row in rows.items()}
    assert shown == {
        "age": ("float", "always", "1", ""),
        "colour": ("bytes", "always", "1", "7 values: black, blue, brown, green, grey, and 2 more"),
        "image": ("bytes", "always", "1", ""),
        "label": ("int", "always", "1", "bool"),
        "scores": ("int", "always", "1 or more", ""),
        "seat": ("int", "optional", "1", ""),
    }
    assert rows["colour"]["training split"].startswith("7 distinct: ")
    assert rows["seat"]["training split"].endswith("% missing") and " to 1" in rows["seat"]["training split"]
    assert rows["image"]["training split"].endswith(" bytes on average")
    assert sum(described.counts.values()) == 120


def test_the_statistics_are_those_of_the_training_split(described: schemas.DataDescription) -> None:
    assert described.statistics is not None
    found = by_column(described.statistics)
    assert present(found["age"]) == described.counts["train"] < 120


def test_nothing_is_left_but_what_later_runs_take(project: Path, described: schemas.DataDescription) -> None:
    assert {item.name for item in (project.parent / ".hubline" / "tiny").iterdir()} == {"pins", "store"}


def test_what_is_frozen_is_what_a_run_is_held_to(project: Path, tmp_path: Path, described) -> None:
    """Runs the command, then adds the two lines that it prints under `data`."""
    said = CliRunner().invoke(app, ["schema", str(project), "--freeze", "--output", f"{tmp_path}/s.pbtxt", "--json"])
    answer = json.loads(said.stdout.splitlines()[-1])
    up = "../" * (len(project.parent.parts) - len(tmp_path.parent.parts))
    assert [line.partition(": ")[0] for line in answer["data"]] == ["schema", "baseline"] and up in answer["data"][0]
    assert answer["columns"] == schemas.columns(described)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["s.pbtxt", "statistics.pb"]
    schema = tfdv.load_schema_text(f"{tmp_path}/s.pbtxt")
    assert schema == described.schema
    baseline = tfdv.load_stats_binary(f"{tmp_path}/statistics.pb")
    assert baseline == described.statistics
    assert not tfdv.validate_statistics(baseline, schema).anomaly_info

    text = project.read_text()
    other = project.with_name("frozen.yaml")
    other.write_text(text.replace("examples: data", "examples: data\n  " + "\n  ".join(answer["data"])))
    file, _ = load(other)
    assert (file.data.data_schema, file.data.baseline) == (f"{tmp_path}/s.pbtxt", f"{tmp_path}/statistics.pb")


def test_files_are_overwritten_only_when_told_and_before_the_data_is_read(project: Path, tmp_path: Path) -> None:
    (tmp_path / "statistics.pb").write_text("precious")
    gone = tmp_path / "gone.yaml"
    gone.write_text(project.read_text())
    with pytest.raises(UserError, match=r"statistics.pb: already exists; pass --overwrite to replace it$"):
        schemas.to_freeze(gone, None, None, overwrite=False)
    assert set(schemas.to_freeze(gone, None, None, overwrite=True)) == {"schema", "baseline"}
    refused = CliRunner().invoke(app, ["schema", str(gone), "--freeze"])
    assert "already exists" in str(refused.exception) and (tmp_path / "statistics.pb").read_text() == "precious"
    with pytest.raises(UserError, match=r"pipeline.yaml: the name of a frozen schema must end in .pbtxt"):
        schemas.to_freeze(project, None, project, overwrite=True)
    with pytest.raises(UserError, match="require --freeze"):
        raise CliRunner().invoke(app, ["schema", str(gone), "--overwrite"]).exception  # type: ignore[misc]


def test_a_curated_schema_is_shown_without_reading_data_and_keeps_its_text(project: Path, described) -> None:
    curated = project.with_name("curated.pbtxt")
    text = """# Kept by hand.
        feature {name: "age" type: FLOAT presence {min_fraction: 0.9} float_domain {min: 0} value_count {min: 1 max: 3}}
        feature {name: "grade" type: INT presence {min_fraction: 1} int_domain {min: 1 max: 6} shape {}}
        """
    curated.write_text(text)
    path = project.with_name("with-curated.yaml")
    path.write_text(project.read_text().replace("examples: data", "examples: nowhere\n  schema: curated.pbtxt"))
    file, _ = load(path)
    shown = schemas.describe(path, file, None, read=False)
    assert [tuple(row.values()) for row in schemas.columns(shown)] == [
        ("age", "float", "in at least 90%", "1 to 3", "0 or more"),
        ("grade", "int", "always", "1", "1 to 6"),
    ]
    with_data = schemas.DataDescription(shown.schema, shown.curated, described.statistics, described.counts)
    files = schemas.to_freeze(path, shown.curated, curated, overwrite=False)
    schemas.freeze(with_data, files)
    assert curated.read_text() == text and (project.parent / "statistics.pb").exists()
    assert schemas.lines_for(files, path) == ["schema: curated.pbtxt", "baseline: statistics.pb"]
    schemas.freeze(with_data, schemas.to_freeze(path, shown.curated, project.with_name("copy.pbtxt"), overwrite=True))
    assert project.with_name("copy.pbtxt").read_text() == text


def test_data_that_would_stop_a_run_says_why(tmp_path: Path) -> None:
    mixed = [
        item + example_data.record(x=1 if number % 2 else 0.5) for number, item in enumerate(example_data.labelled(60))
    ]
    path = make_project(tmp_path, records=mixed)
    file, _ = load(path)
    with pytest.raises(DataError, match=r"column 'x': float in 30 records \(.*/data/a.tfrecord\), int64 in 30 records"):
        schemas.describe(path, file, None, read=False)
    with pytest.raises(UserError, match="no files matched"):
        schemas.describe(path, load(path)[0].model_copy(update={"data": file.data.model_copy(
            update={"examples": f"{tmp_path}/none"})}), None, read=False)  # fmt: skip
