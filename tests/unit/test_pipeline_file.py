"""The pipeline file: what is read, and what is said of mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import PipelineFile
from pipeline.load import json_schema, load
from pipeline.mistakes import PipelineFileError, nearest
from pipeline.reference import reference
from preprocessing.errors import UserError

GOOD = """\
name: tiny
data: {examples: data/*.gz, split: {train: 8, validation: 1, test: 1}}
features:
  photo: {kind: image, from: jpg, size: [64, 48]}
label: {from: label, kind: class, classes: [cat, dog]}
hubs:
  net: {handle: modules/net, inputs: {images: photo}}
training: {epochs: 2, optimizer: {name: sgd, learning_rate: 1e-2}}
serving: {destination: gs://bucket/serving}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return path


def mistakes(folder: Path, text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(PipelineFileError) as caught:
        load(write(folder, text))
    return [(mistake.line, mistake.key, mistake.message) for mistake in caught.value.mistakes]


def test_reads_every_section_into_types(tmp_path: Path) -> None:
    file, _ = load(write(tmp_path, GOOD))
    assert file.features["photo"].size == (64, 48)
    assert file.features["photo"].column == "jpg"
    assert file.label.classes == ("cat", "dog")
    assert file.training.optimizer.learning_rate == 0.01  # 1e-2 is a number in YAML 1.2, a string in 1.1
    assert file.training.batch_size == 32
    assert file.evaluation.thresholds["accuracy"].no_worse_than_serving_by == 0.0


def test_local_paths_count_from_the_file_and_urls_stay(tmp_path: Path) -> None:
    file, _ = load(write(tmp_path, GOOD))
    assert file.data.examples == f"{tmp_path}/data/*.gz"
    assert file.hubs["net"].handle == f"{tmp_path}/modules/net"
    assert file.serving.destination == "gs://bucket/serving"


def test_sections_come_back_from_a_step_property(tmp_path: Path) -> None:
    file, _ = load(write(tmp_path, GOOD))
    assert PipelineFile.model_validate_json(file.to_property()) == file
    assert file.to_property() == load(tmp_path / "pipeline.yaml")[0].to_property()


def test_a_section_cannot_be_changed(tmp_path: Path) -> None:
    file, _ = load(write(tmp_path, GOOD))
    with pytest.raises(ValueError, match="frozen"):
        file.training.epochs = 3  # type: ignore[misc]


def test_all_mistakes_at_once_each_with_its_line_and_what_would_be_right(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """\
name: Tiny
data:
  examples: data
  split: {train: 0, valid: 3}
features:
  photo: {kind: imag, size: [64], chanels: 3}
label: {from: label, kind: class, classes: [cat, cat]}
hubs:
  net: {handle: net, inputs: {images: foto}, sha256: abc}
training: {epochs: many, optimizer: {name: adm}}
evaluation:
  thresholds:
    acuracy: {at_least: 1}
    accuracy: {}
    auc: {at_least: 0.9, at_most: 0.1}
servng: {}
""",
    )
    said = {key: (line, message) for line, key, message in found}
    assert said["name"][0] == 1 and "taxi-tips" in said["name"][1]
    assert said["serving"] == (1, "missing (where blessed models go)")
    assert said["data.split.train"][0] == 4
    assert "did you mean 'validation'?" in said["data.split.valid"][1]
    assert "did you mean 'image'?" in said["features.photo.kind"][1]
    assert "did you mean 'channels'?" in said["features.photo.chanels"][1]
    assert said["features.photo.size[1]"][0] == 6
    assert "repeated: cat" in said["label.classes"][1]
    assert said["hubs.net.inputs.images"] == (9, "there is no feature 'foto'; the features are: photo")
    assert said["hubs.net.sha256"][0] == 9
    assert said["training.epochs"][0] == 10 and "'many'" in said["training.epochs"][1]
    assert "did you mean 'adam'?" in said["training.optimizer.name"][1]
    assert said["evaluation.thresholds.acuracy"][0] == 13
    assert "say at_least" in said["evaluation.thresholds.accuracy"][1]
    assert "nothing can pass" in said["evaluation.thresholds.auc"][1]
    assert said["servng"][0] == 16 and "did you mean 'serving'?" in said["servng"][1]
    assert len(found) == len(said) == 16


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("name: a\nname: b\n", 2, "duplicate key"),
        ("name: [a\ndata: b\n", 2, "not YAML"),
        ("\tname: a\n", 1, "not YAML"),
        ("- a\n- b\n", 1, "a pipeline file is a mapping"),
        ("", 1, "a pipeline file is a mapping"),
        ("just words\n", 1, "a pipeline file is a mapping"),
    ],
)
def test_what_is_not_a_mapping_in_yaml_says_where(tmp_path: Path, text: str, line: int, says: str) -> None:
    ((at, _, message),) = mistakes(tmp_path, text)
    assert says in message
    assert at == line


def test_no_such_file_and_not_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(UserError, match="this is a folder"):
        load(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        load(tmp_path / "binary.yaml")


def nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(inner) | st.dictionaries(st.text(), inner)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), nested, max_leaves=8))
def test_any_value_in_any_section_gives_placed_mistakes_and_never_a_fault(tmp_path_factory, value) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = write(folder, json.dumps({"name": value, "features": value, "hubs": {"net": value}, "training": value}))
    with pytest.raises(PipelineFileError) as caught:
        load(path)
    assert all(mistake.line >= 1 and mistake.message for mistake in caught.value.mistakes)


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("size: [64, 48]", "size: 64", "features.photo.size", "should be a valid list; got 64"),
        ("{images: photo}", "[photo]", "hubs.net.inputs", "must be a mapping of names; got ['photo']"),
        ("serving: {", "label2: {", "serving", "missing"),
        (
            "{name: sgd, learning_rate: 1e-2}",
            "sgd",
            "training.optimizer",
            "with the keys name, learning_rate, momentum",
        ),
        ("name: sgd", "name: adam, momentum: 0.9", "training.optimizer", "adam takes no momentum"),
        ("epochs: 2", "epochs: 2, seed: 4294967296", "training.seed", "less than or equal to 4294967295"),
        ("{train: 8, validation: 1, test: 1}", "[8, 1, 1]", "data.split", "with the keys train, validation, test"),
        (
            "from: jpg, size",
            "from: a/b, size: [9, 9]}\n  other: {kind: image, from: a_b, size",
            "features",
            "the columns a/b and a_b by one name",
        ),
    ],
)
def test_a_mistake_says_what_would_be_right(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    assert old in GOOD
    found = {at: message for _, at, message in mistakes(tmp_path, GOOD.replace(old, new))}
    assert says in found[key]


def test_nearest_names_the_closest_or_only_what_is_known() -> None:
    assert nearest("epoch", ["epochs", "seed"]) == "did you mean 'epochs'? known here: epochs, seed"
    assert nearest("zzz", ["epochs", "seed"]) == "known here: epochs, seed"


def test_schema_and_reference_in_the_project_are_the_generated_ones() -> None:
    project = Path(__file__).parents[2]
    committed = json.loads((project / "pipeline" / "schema.json").read_text())
    assert committed == json.loads(json.dumps(json_schema())), "make schema writes it again"
    assert (project / "docs" / "pipeline-file.md").read_text() == reference(), "make schema writes it again"


def test_the_pipeline_file_in_the_readme_is_the_example_s() -> None:
    project = Path(__file__).parents[2]
    example = (project / "examples" / "digits" / "pipeline.yaml").read_text().partition("\n")[2]
    assert f"```yaml\n{example}```" in (project / "README.md").read_text()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check", "pipeline.yaml", "--no-files"], ["run", "--help"], ["init", "--help"]]
)
def test_help_and_check_import_neither_tensorflow_nor_tfx(tmp_path: Path, arguments: list[str]) -> None:
    write(tmp_path, GOOD)
    program = (
        "import sys\n"
        f"sys.argv = ['hubline', *{arguments!r}]\n"
        "from pipeline.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'tf_keras', 'tensorflow_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
