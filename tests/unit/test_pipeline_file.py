"""The pipeline file: parsing, and messages about errors."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hubline.core.errors import UserError
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.diagnostics import PipelineFileError, nearest
from hubline.pipeline.load import json_schema, load
from hubline.pipeline.preflight import check
from hubline.pipeline.reference import reference
from tests.support.pipeline_files import GOOD, diagnostics, write

EXAMPLES = Path(__file__).parents[2] / "examples"


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


@pytest.mark.slow
def test_all_mistakes_at_once_each_with_its_line_and_what_would_be_right(tmp_path: Path) -> None:
    found = diagnostics(
        tmp_path,
        """\
name: Tiny
data:
  examples: data
  split: {train: 0, valid: 3}
features:
  photo: {kind: image, size: [64], chanels: 3}
  other: {kind: imag}
  third: {size: [64, 48]}
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
    assert "serving" not in said  # it is there under a mistyped name
    assert said["data.split.train"][0] == 4
    assert "did you mean 'validation'?" in said["data.split.valid"][1]
    assert "did you mean 'channels'?" in said["features.photo.chanels"][1]
    assert said["features.photo.size[1]"][0] == 6
    assert said["features.other.kind"][0] == 7 and "did you mean 'image'?" in said["features.other.kind"][1]
    assert said["features.third.kind"][0] == 8 and "missing; known here: " in said["features.third.kind"][1]
    assert "repeated: cat" in said["label.classes"][1]
    assert said["hubs.net.inputs.images"] == (
        11,
        "there is no feature 'foto'; the features are: other, photo, third",
    )
    assert said["hubs.net.sha256"][0] == 11
    assert said["training.epochs"][0] == 12 and "'many'" in said["training.epochs"][1]
    assert "did you mean 'adam'?" in said["training.optimizer.name"][1]
    assert said["evaluation.thresholds.acuracy"][0] == 15
    assert "set at_least" in said["evaluation.thresholds.accuracy"][1]
    assert "no value can pass" in said["evaluation.thresholds.auc"][1]
    assert said["servng"][0] == 18 and "did you mean 'serving'?" in said["servng"][1]
    assert len(found) == len(said) == 16


@pytest.mark.parametrize(
    ("combiner", "says"),
    [
        ("men", {".combiner": "'men' is not known here; did you mean 'mean'? known here: mean, sum, sqrtn"}),
        ("{gru: 0}", {".combiner.gru": "input should be greater than or equal to 1; got 0 (size of the state)"}),
        (
            "{gru: 9, bidirectinal: true}",
            {
                ".combiner.bidirectinal": "unknown key; did you mean 'bidirectional'? known here: gru, bidirectional, "
                "max_length"
            },
        ),
        ("{lstm: 9, bidirectional: true, max_length: 7}", {}),
        ("sqrtn", {}),
    ],
)
def test_of_a_choice_within_a_choice_the_nearest_is_meant(tmp_path: Path, combiner: str, says: dict[str, str]) -> None:
    words = f"  words: {{kind: categorical, encode: {{embedding: 4, combiner: {combiner}}}}}"
    path = write(tmp_path, GOOD.replace("features:\n", f"features:\n{words}\n"))
    try:
        load(path)
        found = {}
    except PipelineFileError as error:
        found = {diagnostic.key: diagnostic.message for diagnostic in error.diagnostics}
    assert found == {f"features.words.encode{key}": message for key, message in says.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("name: a\nname: b\n", 2, "duplicate key"),
        ("name: [a\ndata: b\n", 1, "the [ that begins here is not closed"),
        ("\tname: a\n", 1, "a tab indents this line"),
        ("- a\n- b\n", 1, "a pipeline file is a mapping"),
        ("", 1, "a pipeline file is a mapping"),
        ("just words\n", 1, "a pipeline file is a mapping"),
        (
            "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in pairwise("abcdefghijklmnopqrs")),
            17,
            "aliases",
        ),
        ("name: x\ndata: &d {again: *d}\n", 2, "an alias refers to a node that contains it"),
        ("a: " + "[" * 2000 + "]" * 2000 + "\n", 1, "not YAML"),
    ],
)
def test_what_is_not_a_mapping_in_yaml_says_where(tmp_path: Path, text: str, line: int, says: str) -> None:
    found = [(at, message) for at, _, message in diagnostics(tmp_path, text) if says in message]
    assert [at for at, _ in found] == [line]


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    as_read = load(path)[0]
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load(path)[0] == as_read


def test_no_such_file_and_not_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        load(tmp_path / "absent.yaml")
    with pytest.raises(UserError, match="this is a folder"):
        load(tmp_path)
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(3 << 30)
    with pytest.raises(UserError, match="3,221,225,472 bytes; the limit for a pipeline file is"):
        load(tmp_path / "huge.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        load(tmp_path / "binary.yaml")


def nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(inner) | st.dictionaries(st.text(), inner)


@pytest.mark.slow
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), nested, max_leaves=8))
@settings(deadline=None)  # the schema for the messages is created once
def test_any_value_in_any_section_gives_placed_mistakes_and_never_a_fault(tmp_path_factory, value) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = write(folder, json.dumps({"name": value, "features": value, "hubs": {"net": value}, "training": value}))
    with pytest.raises(PipelineFileError) as caught:
        load(path)
    assert all(diagnostic.line >= 1 and diagnostic.message for diagnostic in caught.value.diagnostics)


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
        ("name: sgd", "name: adam, momentum: 0.9", "training.optimizer", "adam has no momentum"),
        ("epochs: 2", "epochs: 2, seed: 4294967296", "training.seed", "less than or equal to 4294967295"),
        ("{train: 8, validation: 1, test: 1}", "[8, 1, 1]", "data.split", "with the keys train, validation, test"),
        (
            "examples: data/*.gz",
            "examples: data, drift: {}",
            "data.drift",
            "drift needs a baseline",
        ),
        (
            "examples: data/*.gz",
            "examples: data, baseline: b.pb, drift: {max_distance: 2}",
            "data.drift.max_distance",
            "less than or equal to 1",
        ),
        (
            "examples: data/*.gz",
            "examples: data, baseline: b.pb, drift: {columns: {age: -1}}",
            "data.drift.columns.age",
            "greater than or equal to 0",
        ),
    ],
)
def test_a_mistake_says_what_would_be_right(tmp_path: Path, old: str, new: str, key: str, says: str) -> None:
    assert old in GOOD
    found = {at: message for _, at, message in diagnostics(tmp_path, GOOD.replace(old, new))}
    assert says in found[key]


AUGMENTED = """\
name: tiny
data: {examples: data}
features:
  photo: {kind: image, size: [8, 8]}
label: {from: label, kind: class}
hubs:
  net: {handle: net, inputs: {images: photo}}
training: {epochs: 2}
serving: {destination: serving}
"""
CHANGER = "{handle: c, role: augment, inputs: {images: photo}}"


@pytest.mark.parametrize(
    ("training", "others", "key", "says"),
    [
        ("{augment: [rotate]}", "", "training.augment[0]", "rotate needs a strength, such as {rotate: 15}"),
        ("{augment: [{rotate: 200}]}", "", "training.augment[0].rotate", "less than or equal to 180"),
        ("{augment: [{hue: 0.7}]}", "", "training.augment[0].hue", "less than or equal to 0.5"),
        ("{augment: [{rotate: 2, hue: 0.1}]}", "", "training.augment[0]", "an augmentation is one name"),
        (
            "{augment: [{crop: {area: [1, 0.5]}}]}",
            "",
            "training.augment[0].crop.area",
            "not be greater than the second",
        ),
        ("{augment: [{crop: {aera: [0.5, 1]}}]}", "", "training.augment[0].crop.aera", "did you mean 'area'?"),
        ("{augment: [{crop: 1.5}]}", "", "training.augment[0].crop", "less than 1"),
        ("{augment: [{hub: nte}]}", "", "training.augment[0].hub", "there is no hub module 'nte'; the hubs are: net"),
        ("{augment: [flip_up_down, {hub: net}]}", "", "training.augment[1]", "hubs.net is a backbone"),
        (
            "{augment: [{crop: {min_object_covered: 0.5}}]}",
            "",
            "training.augment[0]",
            "min_object_covered needs the boxes of a label of kind class_and_box, and this one is class",
        ),
        (
            "{augment: [transpose]}",
            "features: {photo: {kind: image, size: [8, 9]}}",
            "training.augment[0]",
            "transpose swaps height and width, and 'photo' is 8 x 9; make its size square",
        ),
        ("{augment: [{mixup: 1}, {mixup: 2}]}", "", "training", "mixup several times"),
        ("{augment: [{mixup: 1}], cache_views: 2}", "", "training", "remove one"),
        (
            "{augment: [{mixup: 0.2}]}",
            "features: {photo: {kind: image, size: [8, 8]}, age: {kind: numeric}}",
            "training.augment[0]",
            "the model has other inputs: age",
        ),
        (
            "{augment: [flip_up_down, {saturation: 0.2}]}",
            "features: {photo: {kind: image, size: [8, 8], channels: 1}}",
            "training.augment[1]",
            "every image has channels: 1",
        ),
        (
            "{augment: [flip_up_down]}",
            "{features: {age: {kind: numeric}}, hubs: {}}",
            "training.augment[0]",
            "augment changes images, and no feature is one",
        ),
        (
            "{}",
            f"hubs: {{net: {{handle: n, inputs: {{x: photo}}}}, c: {CHANGER}}}",
            "hubs.c.role",
            "does not name it: {hub: c}",
        ),
        (
            "{augment: [{hub: c}]}",
            f"hubs: {{c: {CHANGER}}}",
            "features.photo",
            "no hub module or backbone takes the image 'photo'",
        ),
        (
            "{augment: [{hub: c}]}",
            "hubs: {c: {handle: c, role: augment}}",
            "hubs.c",
            "must have one input, the images",
        ),
        (
            "{augment: [{hub: c}]}",
            f"{{hubs: {{net: {{handle: n, inputs: {{x: photo}}}}, c: {CHANGER}}}, model: {{fine_tune: {{c: {{}}}}}}}}",
            "model.fine_tune.c",
            "'c' augments, and only modules that feed the head are trained",
        ),
        (
            "{}",
            "features: {photo: {kind: image, size: [8, 8], standardize: per_image, value_range: [0, 1]}}",
            "features.photo",
            "remove one",
        ),
    ],
)
def test_a_mistake_in_augmentation_is_said_where_it_stands(
    tmp_path: Path, training: str, others: str, key: str, says: str
) -> None:
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load(AUGMENTED) | (yaml.load(others) or {} if others else {})
    values["training"] |= yaml.load(training)
    said = [(at, message) for _, at, message in diagnostics(tmp_path, json.dumps(values))]
    assert any(at == key and says in message for at, message in said), said


def test_augmentation_comes_back_from_a_step_property(tmp_path: Path) -> None:
    augment = (
        "[flip_up_down, {rotate: 15}, {crop: 0.2}, {crop: {area: [0.5, 1]}}, {cutout: 0.3}, {hub: c}, {mixup: 0.2}]"
    )
    text = AUGMENTED.replace("training: {", f"training: {{augment: {augment}, ")
    file, _ = load(write(tmp_path, text.replace("hubs:\n", f"hubs:\n  c: {CHANGER}\n")))
    assert PipelineFile.model_validate_json(file.to_property()) == file
    assert file.training.mixup == 0.2 and len(file.training.changes) == 6


def test_a_module_that_augments_is_asked_nothing(tmp_path: Path) -> None:
    text = AUGMENTED.replace("training: {epochs: 2}", "task: infer").replace("serving:", "predictions:")
    ((_, _, message),) = diagnostics(tmp_path, text.replace("inputs:", "role: augment, inputs:"))
    assert "augmentation is for training" in message


def test_nearest_names_the_closest_or_only_what_is_known() -> None:
    assert nearest("epoch", ["epochs", "seed"]) == "did you mean 'epochs'? known here: epochs, seed"
    assert nearest("zzz", ["epochs", "seed"]) == "known here: epochs, seed"


@pytest.mark.parametrize(
    ("key", "content", "says"),
    [
        ("schema", None, "there is no such file; create a curated schema, schema.pbtxt"),
        ("schema", b"feature {nam: 1}", "not a schema.pbtxt (a TensorFlow Metadata schema): "),
        ("schema", b"\xff\xfe", "not a schema.pbtxt (a TensorFlow Metadata schema): "),
        ("baseline", None, "there is no such file; create a baseline, statistics.pb"),
        ("baseline", b"feature {}", "not a statistics.pb"),
        ("baseline", b"", "not a statistics.pb"),
    ],
)
def test_a_schema_or_baseline_that_is_none_is_named_at_its_line(
    tmp_path: Path, key: str, content: bytes | None, says: str
) -> None:
    file = tmp_path / "held-to"
    if content is not None:
        file.write_bytes(content)
    text = GOOD.replace("data: {examples: data/*.gz,", f"data: {{examples: data/*.gz, {key}: held-to,")
    with pytest.raises(PipelineFileError) as caught:
        check(write(tmp_path, text))
    (found,) = [diagnostic for diagnostic in caught.value.diagnostics if diagnostic.key == f"data.{key}"]
    assert found.line == 2 and found.message.startswith(f"{file}: ") and says in found.message


def test_schema_and_reference_in_the_project_are_the_generated_ones() -> None:
    project = Path(__file__).parents[2]
    committed = json.loads((project / "pipeline" / "schema.json").read_text())
    assert committed == json.loads(json.dumps(json_schema())), "make reference writes it again"
    assert (project / "docs" / "pipeline-file.md").read_text() == reference(), "make reference writes it again"


def test_the_pipeline_file_in_the_readme_is_the_example_s() -> None:
    project = Path(__file__).parents[2]
    example = (project / "examples" / "digits" / "pipeline.yaml").read_text().partition("\n")[2]
    assert f"```yaml\n{example}```" in (project / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["check", "pipeline.yaml", "--no-files"],
        ["run", "--help"],
        ["schema", "--help"],
        ["reference"],
        ["init", "--help"],
    ],
)
def test_help_and_check_import_neither_tensorflow_nor_tfx(tmp_path: Path, arguments: list[str]) -> None:
    write(tmp_path, GOOD)
    program = (
        "import sys\n"
        f"sys.argv = ['hubline', *{arguments!r}]\n"
        "from hubline.pipeline.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'tf_keras', 'tensorflow_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_the_examples_have_no_mistake(example: Path) -> None:
    file, _ = load(example)
    if example.stem == "pipeline":
        assert file.name == example.parent.name.replace("_", "-")


@pytest.mark.parametrize(
    ("thresholds", "key", "said"),
    [
        ("accuracy: {at_least: 95}", "accuracy.at_least", "accuracy is from 0 to 1, and 95 is not; 95 % is 0.95"),
        ("accuracy: {at_least: -0.1}", "accuracy.at_least", "accuracy is from 0 to 1, and -0.1 is not"),
        ("cross_entropy: {at_most: -1}", "cross_entropy.at_most", "cross_entropy is at least 0, and -1 is not"),
        ("auc: {no_worse_than_serving_by: 2}", "auc.no_worse_than_serving_by", "no model is worse by 2"),
    ],
)
def test_a_threshold_outside_the_range_of_its_metric_is_found(tmp_path: Path, thresholds, key: str, said: str) -> None:
    (found,) = diagnostics(tmp_path, f"{GOOD}evaluation: {{thresholds: {{{thresholds}}}}}\n")
    assert found[1] == f"evaluation.thresholds.{key}" and said in found[2]
