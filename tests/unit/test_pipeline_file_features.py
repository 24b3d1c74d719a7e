"""Errors in features, label and vocabularies of a pipeline file."""

import json
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from hubline.pipeline.config import PipelineFile
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from hubline.preprocessing.feature_columns import input_columns
from tests.support.pipeline_files import TABULAR, diagnostics, write


def test_a_pipeline_needs_no_hub_module(tmp_path: Path) -> None:
    extra = "{kind: crossed, of: [area, hour], hash_buckets: 100}\n  hour: {kind: timestamp, from: start, part: hour}"
    file, _ = load(write(tmp_path, TABULAR.replace("EXTRA", extra)))
    assert file.hubs == {} and file.fed_features == {}
    assert input_columns(file.features) == ["fare", "area", "start"]
    assert PipelineFile.model_validate_json(file.to_property()) == file


@pytest.mark.parametrize(
    ("described", "key", "says"),
    [
        # One of several forms: the message refers only to the form that was meant.
        ("{kind: categorical, encode: onehot}", "encode", "did you mean 'one_hot'?"),
        ("{kind: categorical, encode: {embeding: 3, embedding: 3}}", "encode.embeding", "did you mean 'embedding'?"),
        ("{kind: timestamp, part: hour, encode: {embedding: few}}", "encode.embedding", "valid integer, unable to par"),
        ("{kind: categorical, vocabulary: {top: 3}}", "vocabulary.top", "did you mean 'top_k'?"),
        ("{kind: categorical, vocabulary: {file: words, sha: x}}", "vocabulary.sha", "did you mean 'sha256'?"),
        ("{kind: categorical, vocabulary: {file: words, sha256: x}}", "vocabulary.sha256", "does not have the form"),
        ("{kind: categorical, vocabulary: [{a: b}]}", "vocabulary[0]", "should be a valid string"),
        ("{kind: numeric, normalize: zscore}", "normalize", "did you mean 'z_score'?"),
        ("{kind: numeric, length: 3, shape: [2, 2]}", "", "shape [2, 2] has room for 4 numbers, but length is 3"),
        ("{kind: numeric, normalize: {scale: 0}}", "normalize.scale", "greater than 0; got 0"),
        ("7", "", "must be a mapping with a kind: audio, bucketized, "),
        # Each kind separately.
        ("{kind: categorical, vocabulary: [a, b, a]}", "vocabulary", "words must be unique; repeated: a"),
        ("{kind: categorical, vocabulary: computed, hash_buckets: 9}", "", "this has vocabulary and hash_buckets"),
        ("{kind: categorical, hash_buckets: 9, identity: 9}", "", "this has hash_buckets and identity"),
        ("{kind: categorical, hash_buckets: 9, oov_buckets: 1}", "", "oov_buckets are for words outside a vocabulary"),
        ("{kind: categorical, vocabulary: [a], default: b}", "", "default is 'b', which is not in the vocabulary: a"),
        ("{kind: categorical, identity: 3, default: 3}", "", "default is 3; it must be a number from 0 to 2"),
        ("{kind: categorical, default: a}", "", "default requires identity or a listed vocabulary"),
        ("{kind: bucketized, from: fare}", "", "set either boundaries or buckets"),
        ("{kind: bucketized, boundaries: [1], buckets: 3}", "", "set either boundaries or buckets"),
        ("{kind: bucketized, boundaries: [0, 2, 1, 3, 3]}", "", "must be strictly ascending; see 2, 1; 3, 3"),
        ("{kind: crossed, of: [area, area], hash_buckets: 9}", "of", "distinct inputs; repeated: area"),
        ("{kind: crossed, from: area, of: [a, b], hash_buckets: 9}", "from", "leave it out"),
        ("{kind: text, bag: {ngrams: [2, 1]}}", "bag.ngrams", "the first must not be greater"),
        ("{kind: text, bag: {tf_idf: true, vocabulary: {}}}", "bag", "tf_idf needs a limit"),
        ("{kind: image, size: [8, 8], decode: raw}", "decode", "must be a mapping with a kind: numbers, raw"),
        ("{kind: image, size: [8, 8], decode: {kind: row}}", "decode.kind", "did you mean 'raw'?"),
        ("{kind: image, size: [8, 8], value_range: [1, 0]}", "value_range", "the first value must be the smaller one"),
    ],
)
def test_a_mistake_in_a_feature_is_said_once_and_where_it_stands(
    tmp_path: Path, described: str, key: str, says: str
) -> None:
    ((line, at, message),) = diagnostics(tmp_path, TABULAR.replace("EXTRA", described))
    assert (line, at) == (6, f"features.extra.{key}".rstrip("."))
    assert says in message


@pytest.mark.parametrize(
    ("described", "says"),
    [
        ("{kind: crossed, of: [area, fare], hash_buckets: 9}", "'extra' crosses the number 'fare'; cross a bucketized"),
        ("{kind: crossed, of: [area, extra], hash_buckets: 9}", None),  # the column of that name
        ("{kind: crossed, of: [a, area], hash_buckets: 9}\n  a: {kind: numeric, from: b}", "'a', which has no categor"),
        (
            "{kind: bucketized, from: a, buckets: 3}\n  a: {kind: numeric, from: b}",
            "'a', which has no categories; name",
        ),
        (
            "{kind: bucketized, from: a, buckets: 3}\n  a: {kind: text, bag: {}, from: b}",
            "'a', which has no categories",
        ),
        (
            "{kind: text, from: a, bag: {}}\n  a: {kind: categorical, from: b}",
            "'extra' is made from a column, and 'a' is",
        ),
        (
            "{kind: crossed, of: [area, a], hash_buckets: 9}\n  a: {kind: crossed, of: [area, extra], hash_buckets: 9}",
            {"extra": "'a', which is made from 'extra'", "a": "'a' is made from 'extra', which is made from 'a'"},
        ),
        (
            "{kind: bucketized, from: a, buckets: 3}\n  a: {kind: bucketized, from: b, buckets: 3}\n"
            "  b: {kind: bucketized, from: extra, buckets: 3}",
            {
                "extra": "'extra' is made from 'a', which is made from 'extra'",
                "a": "'a' is made from 'b', which is made from 'a'",
                "b": "'b' is made from 'extra', which is made from 'b'",
            },
        ),
        (
            "{kind: image, size: [8, 8]}",
            "no hub module or backbone takes the image 'extra'; name it in the inputs of one",
        ),
        ("{kind: text}", "no hub module or backbone takes the text 'extra'; name it in the inputs of one"),
        ("{kind: categorical, from: a}\n  b: {kind: image, from: a, size: [8, 8]}", "the column 'a' holds images"),
    ],
)
def test_what_features_are_made_from_must_be_there_and_fit(
    tmp_path: Path, described: str, says: str | dict[str, str] | None
) -> None:
    text = TABULAR.replace("EXTRA", described)
    if says is None:
        load(write(tmp_path, text))
        return
    expected = says if isinstance(says, dict) else {"extra": says}
    found = {key: message for _, key, message in diagnostics(tmp_path, text)}
    assert found.keys() == {f"features.{name}" for name in expected}
    assert all(message in found[f"features.{name}"] for name, message in expected.items())


def test_errors_of_one_section_and_between_others_are_reported_together(tmp_path: Path) -> None:
    text = """\
name: tiny
data: {examples: data, split: {train: 0}}
features:
  fare: {kind: numeric}
  photo: {kind: image, size: [8, 8]}
label: {from: label, kind: class}
model:
  wide: [fare]
training: {epochs: none}
evaluation:
  metrics: [rmse]
serving: {destination: serving}
"""
    found = {key: (line, message) for line, key, message in diagnostics(tmp_path, text)}
    assert {key: line for key, (line, _) in found.items()} == {
        "data.split.train": 2,
        "features.photo": 5,
        "model.wide[0]": 8,
        "training.epochs": 9,
        "evaluation.metrics[0]": 11,
    }
    assert found["evaluation.metrics[0]"][1].startswith("rmse does not fit a label of kind class")
    fixed = text.replace("train: 0", "train: 8").replace("none}", "1}").replace("[rmse]", "[accuracy]")
    assert [key for _, key, _ in diagnostics(tmp_path, fixed)] == ["features.photo", "model.wide[0]"]


def test_what_is_wrong_in_a_feature_and_among_features_is_said_at_once(tmp_path: Path) -> None:
    extra = (
        "{kind: bucketized, from: fare, boundaries: [2, 1]}\n"
        "  more: {kind: crossed, of: [area, fare], hash_buckets: 9}\n"
        "  other: {kind: crossed, of: [area, extra], hash_buckets: 1}"
    )
    found = diagnostics(tmp_path, TABULAR.replace("EXTRA", extra).replace("epochs: 2", "epochs: none"))
    assert [(line, key) for line, key, _ in found] == [
        (6, "features.extra"),
        (7, "features.more"),
        (8, "features.other.hash_buckets"),
        (10, "training.epochs"),
    ]
    assert found[1][2].startswith("'more' crosses the number 'fare'; cross a bucketized feature")


@pytest.mark.parametrize(
    ("described", "key", "says"),
    [
        (
            "{hubs: {net: {handle: net, inputs: {x: bag}}}}",
            "hubs.net.inputs.x",
            "takes images, clips, sounds and texts as they are, and numeric features; 'bag' is text with a bag",
        ),
        (
            "{hubs: {net: {handle: net, inputs: {x: mute}}}}",
            "hubs.net.inputs.x",
            "images, clips, sounds and texts as they are, and numeric features; 'mute' is categorical",
        ),
        (
            "{features: {fare: {kind: numeric, length: 4, shape: [2, 2]}}}",
            "features.fare.shape",
            "no hub module or backbone takes 'fare'; leave shape out",
        ),
        (
            "{features: {fare: {kind: numeric, missing_indicator: true}}, "
            "hubs: {net: {handle: net, inputs: {x: fare}}}}",
            "features.fare.missing_indicator",
            "the hub module 'net' takes the numbers alone; leave it out",
        ),
        ("{hubs: {net: {handle: net}}}", "hubs.net", "has no inputs, and no feature has it as its `pretrained`"),
        (
            "{hubs: {net: {handle: net}}, model: {fine_tune: {net: {}}}}",
            "model.fine_tune.net",
            "no feature feeds 'net'; set it in hubs.net.inputs",
        ),
        (
            "{features: {area: {kind: categorical, encode: {embedding: 2, pretrained: net}}}}",
            "features.area.encode.pretrained",
            "there is no hub module 'net'; the hub modules are: none",
        ),
        (
            "{hubs: {net: {handle: net}}, "
            "features: {area: {kind: categorical, hash_buckets: 9, encode: {embedding: 2, pretrained: net}}}}",
            "features.area.encode.pretrained",
            "'area' has no vocabulary, so no words for the hub module 'net'",
        ),
        ("{model: {wide: [area, fare]}}", "model.wide[1]", "the wide part takes categories; 'fare' is numeric"),
        ("{model: {wide: [mute]}}", "model.wide[0]", "'mute' has encode: none; remove that"),
        ("{model: {wide: [area, area]}}", "model.wide", "features must be distinct; repeated: area"),
        (
            "{model: {wide: [aera]}}",
            "model.wide[0]",
            "there is no feature 'aera'; the features are: area, bag, fare, mute",
        ),
        (
            "{features: {mute: {kind: categorical, encode: none}}}",
            "features",
            "the model has no input: there are neither hubs nor backbones",
        ),
        ("{features: {}}", "features", "should have at least 1 item"),
    ],
)
def test_every_feature_has_a_use_and_every_use_its_feature(tmp_path: Path, described: str, key: str, says: str) -> None:
    extra = "{kind: numeric}\n  mute: {kind: categorical, encode: none}\n  bag: {kind: text, from: note, bag: {}}"
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load(TABULAR.replace("extra: EXTRA", f"fare2: {extra}"))
    del values["features"]["fare2"]
    ((_, at, message),) = diagnostics(tmp_path, json.dumps(values | yaml.load(described)))
    assert at == key and says in message


@pytest.mark.parametrize(
    ("described", "key", "says"),
    [
        ("{kind: binary}", "label", "set either `from`, a column of class names or numbers, or `where`"),
        ("{kind: binary, from: a, where: a > b}", "label", "set either `from`"),
        ("{kind: binary, where: a > b, above: 2}", "label", "above requires `from`"),
        ("{kind: binary, from: a, classes: [x, x]}", "label", "the two classes must have different names"),
        ("{kind: binary, where: a + b}", "label.where", "'a + b' is not one comparison, such as tips > 0.2 * fare"),
        ("{kind: binari, from: a}", "label.kind", "did you mean 'binary'?"),
        ("{kind: class}", "label.from", "such as label)"),
        (
            "{kind: multilabel}",
            "label",
            "set either `from`, the column of a record's classes, or `columns`, one column",
        ),
        ("{kind: multilabel, from: a, columns: [a, b]}", "label", "column per class"),
        ("{kind: multilabel, columns: [a, b], classes: [x, y, z]}", "label", "there are 2 columns and 3 classes"),
        ("{kind: multilabel, columns: [a, b, a]}", "label.columns", "columns must be distinct; repeated: a"),
        ("{kind: multilabel, columns: [a]}", "label.columns", "at least 2 items"),
        ("{kind: multilabel, from: a, classes: [x, x]}", "label.classes", "classes must be unique; repeated: x"),
        ("{kind: multilabel, from: [a, b]}", "label.from", "should be a valid string"),
        ("{kind: multilabel, from: a, threshold: 1}", "label.threshold", "should be less than 1"),
        ("{kind: multilable, from: a}", "label.kind", "did you mean 'multilabel'?"),
    ],
)
def test_a_mistake_in_the_label_is_said_once(tmp_path: Path, described: str, key: str, says: str) -> None:
    text = TABULAR.replace("  extra: EXTRA\n", "").replace("{from: label, kind: class}", described)
    ((line, at, message),) = diagnostics(tmp_path, text)
    assert (line, at) == (6, key)
    assert says in message


WORDS = "extra: {kind: categorical, from: colour, vocabulary: {file: words.txt}}"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file; a vocabulary is a UTF-8 text file with one word per line"),
        (b"", "it is empty; a vocabulary is a UTF-8 text file with one word per line"),
        (b"\n\n", "it is empty; "),
        (b"red\n\ngreen\n\n", "nothing is in lines 2, 4; "),
        (b"red\n\xff\nblu\xe8\n", "no UTF-8, or a character that ends a line, is in lines 2, 3; "),
        (b"red\rgreen\n", "no UTF-8, or a character that ends a line, is in line 1; "),
        ("\ufeffred\n".encode(), "it begins with a byte order mark, which would be a part of the first word; "),
        (b"red\ngreen\nred\r\n\nred", "nothing is in line 4; 'red' is in lines 1, 3, 5; "),
        (b"a\n" * 9, "'a' is in lines 1, 2, 3, 4, 5 and 4 more; "),
        ("\n".join([*"abcdefg"] * 2).encode(), "'e' is in lines 5, 12; 2 more words are there several times; "),
    ],
)
def test_what_is_wrong_with_a_vocabulary_file_is_named_at_its_line(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    file = tmp_path / "words.txt"
    if content is not None:
        file.write_bytes(content)
    text = TABULAR.replace("extra: EXTRA", f"{WORDS}\n  more: {{kind: categorical, vocabulary: {{file: none.txt}}}}")
    path = write(tmp_path, text.replace("destination: serving", f"destination: {tmp_path}"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").touch()
    with pytest.raises(PipelineFileError) as caught:
        check(path)
    ours, another = caught.value.diagnostics
    assert (ours.line, ours.key) == (6, "features.extra.vocabulary.file")
    assert ours.message.startswith(f"{file}: ") and says in ours.message
    assert (another.line, another.key) == (7, "features.more.vocabulary.file")


@pytest.mark.parametrize("content", [b"red\ngreen\n", b"red\r\ngreen", "größer als\n10\n ".encode()])
def test_a_vocabulary_file_is_held_to_its_digest(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "words.txt").write_bytes(content)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").touch()
    digest = subprocess.check_output(["sha256sum", "words.txt"], cwd=tmp_path, text=True).split()[0]
    text = TABULAR.replace("extra: EXTRA", WORDS.replace("words.txt", f"words.txt, sha256: {digest}"))
    check(write(tmp_path, text))
    with pytest.raises(PipelineFileError, match=f"words.txt: its sha256 is {digest}, but the pipeline file sets f+"):
        check(write(tmp_path, text.replace(digest, "f" * 64)))
