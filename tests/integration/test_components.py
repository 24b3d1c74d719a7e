"""Executors of the steps, one at a time, on real artifacts and real Beam."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
from google.protobuf import text_format
from pydantic import TypeAdapter
from tfx.components.statistics_gen.executor import Executor as StatisticsGen
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.proto import example_gen_pb2
from tfx.types import Channel, standard_artifacts

from hubline.artifacts.examples import Manifest
from hubline.artifacts.quarantine import FILE as QUARANTINE_LIST
from hubline.artifacts.quarantine import read_quarantine
from hubline.artifacts.splits import SPLITS
from hubline.components import steps as declared
from hubline.components.beam import in_processes
from hubline.components.component import component
from hubline.components.config.bad_records import BadRecords
from hubline.components.config.data import Data
from hubline.components.config.splits import HashSplit, PatternSplit
from hubline.components.example_gen import small_files
from hubline.components.example_gen.contract import Contract
from hubline.components.hub_module.executor import Executor as HubModule
from hubline.components.input_artifacts import split_files
from hubline.components.node import Output, node
from hubline.components.pin.snapshot import pin_vocabularies
from hubline.components.statistics_gen.executor import Executor as OurStatisticsGen
from hubline.components.transform.config import TransformConfig
from hubline.core.config_base import dump_sections
from hubline.core.digest import file_digest, tree_digest
from hubline.core.errors import DataError, UserError
from hubline.core.shard_dataset import read_records
from hubline.preprocessing.config import ClassLabel, Features, ImageFeature
from hubline.trainer.config.hubs import Hub
from hubline.trainer.model import keras_inputs
from tests.support import example_data, hub_modules, tf1_hub_modules
from tests.support import job as make_job
from tests.support import model as make_model
from tests.support import statistics as steps
from tests.support.executors import BEAM, CONTRACT, artifact, beam_executor, ingest, read_split

SEVERAL_WORKERS = in_processes(2)


def executor(kind, folder: Path):
    return kind(base_executor.BaseExecutor.Context(tmp_dir=f"{folder}/tmp/", unique_id="1"))


def analysed(folder: Path, features: Features, columns: Mapping[str, Sequence], **types: str):
    """The transform graph that the step Transform creates from records with the given columns."""
    records = steps.rows(40, label=[0, 1] * 20, **columns)
    examples = steps.examples(folder, {split: [records] for split in SPLITS})
    schema = artifact(standard_artifacts.Schema, folder / "schema")
    Path(schema.uri, "schema.pbtxt").write_text(text_format.MessageToString(make_job.schema(label="INT", **types)))
    label = ClassLabel.model_validate({"kind": "class", "from": "label"})
    transform = node(
        declared.TRANSFORM,
        examples=Output("ExampleGen", "examples", "Examples"),
        schema=Output("ParsingSchema", "parsing_schema", "Schema"),
        config=TransformConfig(features=features, label=label),
        vocabularies=pin_vocabularies(features),
        store=str(folder / "store"),
    )
    kinds = {"examples": standard_artifacts.Examples, "schema": standard_artifacts.Schema}
    step = component(transform, **{key: Channel(type=kind) for key, kind in kinds.items()})

    def run() -> tft.TFTransformOutput:
        outputs = {key: [artifact(channel.type, folder / "out" / key)] for key, channel in step.outputs.items()}
        inputs = {"examples": [examples], "schema": [schema]}
        beam_executor(step.executor_spec.executor_class, folder).Do(inputs, outputs, dict(step.exec_properties))
        return tft.TFTransformOutput(outputs["transform_graph"][0].uri)

    return run


@pytest.mark.parametrize(
    ("label", "contract", "says"),
    [
        (7, Contract(images=(), label="label", classes=("a", "b")), "its label 'label' is 7, outside 0 to 1"),
        ("c", Contract(images=(), label="label", classes=("a", "b")), "label 'label' is 'c', none of the classes a, b"),
        (0.5, Contract(images=(), label="label"), "is the float 0.5; a class is an integer or a string, and kind: reg"),
        ("3", Contract(images=(), numbers=("label",)), "is b'3'; it must be a number; texts are for kind: class"),
        (1, Contract(images=(), label="lable"), "no label 'lable'; did you mean 'label'? Its columns are: label, x"),
    ],
)  # fmt: skip
def test_a_label_that_does_not_fit_is_named_with_its_record_and_counted_where_it_is_set_aside(
    tmp_path: Path, label, contract: Contract, says: str
) -> None:
    path = example_data.write_tfrecord(
        tmp_path / "data" / "a", [example_data.record(label=label, x=number) for number in range(30)]
    )
    with pytest.raises(DataError) as error:
        ingest(tmp_path, Data(examples=str(tmp_path / "data")), contract=contract)
    assert str(error.value).startswith(f"{path}: record 0 (counted from 0): ") and says in str(error.value)
    with pytest.raises(DataError) as error:
        data = Data(examples=str(tmp_path / "data"), bad_records=BadRecords(policy="quarantine"))
        ingest(tmp_path / "again", data, contract=contract)
    first, *records = str(error.value).split("\n")
    assert first.startswith("30 of 30 records are bad, 100.00%") and len(records) == 3
    assert all(says in line for line in records)


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_a_column_that_is_whole_in_one_file_and_not_in_another_is_named_with_both(
    tmp_path: Path, compression: str
) -> None:
    values: dict[str, Sequence] = {"a": range(40), "b": [number / 2 for number in range(40)], "c": range(40, 80)}
    for name, of_file in values.items():
        records = [example_data.record(label=number % 2, x=value, y=0.5) for number, value in enumerate(of_file)]
        example_data.write_tfrecord(tmp_path / "data" / name, records, compression)
    examples = ingest(
        tmp_path, Data(examples=str(tmp_path / "data")), contract=Contract(images=(), label="label", classes=("a", "b"))
    )
    described = artifact(standard_artifacts.ExampleStatistics, tmp_path / "statistics")
    with pytest.raises(DataError) as error:
        beam_executor(OurStatisticsGen, tmp_path).Do(
            {"examples": [examples]}, {"statistics": [described]}, {"store": str(tmp_path / "store"), "code": ""}
        )
    assert str(error.value) == (
        "a column must have the same type in all files; these have several:\n  column 'x': "
        f"float in 40 records (test: {tmp_path}/data/b), int64 in 80 records (test: {tmp_path}/data/a and 1 more file)"
    )


def words_of(*values: str) -> tf.SparseTensor:
    return tf.ragged.constant([[value] for value in values]).to_sparse()


def test_vocabularies_in_files_are_the_graph_s_own_whatever_becomes_of_the_files(tmp_path: Path) -> None:
    words, others = tmp_path / "words.txt", tmp_path / "other" / "words.txt"
    others.parent.mkdir()
    words.write_bytes(b"red\r\ngreen\r\n")
    others.write_text("blue\nred")
    features = TypeAdapter(Features).validate_python({
        "one": {"kind": "categorical", "from": "colour", "vocabulary": {"file": str(words)}, "oov_buckets": 1},
        "other": {"kind": "categorical", "from": "colour", "vocabulary": {"file": str(others)}},
    })  # fmt: skip
    run = analysed(tmp_path, features, {"colour": ["red", "green", "blue", "mauve"] * 10}, colour="BYTES")
    words.write_text("mauve\n")
    with pytest.raises(DataError, match=r"words.txt: the vocabulary has changed since the run began; run again"):
        run()
    words.write_bytes(b"red\r\ngreen\r\n")
    graph = run()
    words.unlink(), others.unlink()
    assert {name: feature.size(name, graph) for name, feature in features.items()} == {"one": 3, "other": 2}
    got = graph.transform_features_layer()({"colour": words_of("green", "red", "blue", "mauve", "")})
    assert got["one"].values.numpy().tolist() == [1, 0, 2, 2]
    assert got["other"].values.numpy().tolist() == [1, 0]


def test_columns_without_any_value_make_features_that_tell_nothing(tmp_path: Path) -> None:
    described = {
        "number": {"kind": "numeric", "from": "x", "normalize": "z_score", "missing": "median"},
        "scaled": {"kind": "numeric", "from": "x", "normalize": "min_max"},
        "bucket": {"kind": "bucketized", "from": "x", "buckets": 4},
        "word": {"kind": "categorical", "oov_buckets": 1},
        "bag": {"kind": "text", "from": "word", "bag": {}},
        "vector": {"kind": "categorical", "from": "word", "encode": {"embedding": 3}},
        "cross": {"kind": "crossed", "of": ["word", "bucket"], "hash_buckets": 9},
    }
    features = TypeAdapter(Features).validate_python(described)
    graph = analysed(tmp_path, features, {"x": [float("nan")] * 40, "word": ["", None] * 20}, x="FLOAT", word="BYTES")()
    inputs = keras_inputs(features)
    model = tf.keras.Model(inputs, {name: feature.layer(name, graph)(inputs) for name, feature in features.items()})
    missing = {"x": tf.sparse.from_dense([[0.0]]), "word": words_of("")}
    present = {"x": tf.sparse.from_dense([[7.0]]), "word": words_of("new")}
    for given in (missing, present):
        transformed = graph.transform_features_layer()(given)
        for name, values in model({name: transformed[name] for name in inputs}).items():
            assert np.isfinite(values.numpy()).all() and values.shape[0] == 1, name


@pytest.mark.both_stacks
def test_example_gen_puts_every_record_of_plain_and_gzip_files_in_one_split(tmp_path: Path) -> None:
    records = example_data.labelled(120)
    example_data.write_tfrecord(tmp_path / "data" / "a", records[:70])
    example_data.write_tfrecord(tmp_path / "data" / "b.gz", records[70:], "GZIP")
    examples = ingest(tmp_path, Data(examples=str(tmp_path / "data"), split=HashSplit(train=2, validation=1, test=1)))
    splits = {split: read_split(examples, split) for split in ("train", "validation", "test")}
    assert sorted(item for items in splits.values() for item in items) == sorted(records)
    manifest = Manifest.read(examples.uri)
    assert manifest.counts == {split: len(items) for split, items in splits.items()}
    assert manifest.sources == [f"{tmp_path}/data/a", f"{tmp_path}/data/b.gz"]
    assert (manifest.images, manifest.quarantined) == (("image",), 0)
    for shard in manifest.shards:
        assert shard.digest == file_digest(f"{examples.uri}/Split-{shard.split}/{shard.name}")


def test_example_gen_and_statistics_gen_write_the_same_bytes_whatever_runs_them(tmp_path: Path) -> None:
    for number in range(5):
        records = example_data.labelled(40 * (number + 1))[40 * number :]
        example_data.write_tfrecord(tmp_path / "data" / f"{number}", records)
    data = Data(examples=str(tmp_path / "data"))

    def digests(name: str, beam: list[str]) -> tuple[str, str]:
        examples = ingest(tmp_path / name, data, beam)
        described = artifact(standard_artifacts.ExampleStatistics, tmp_path / name / "statistics")
        context = base_beam_executor.BaseBeamExecutor.Context(beam, tmp_dir=f"{tmp_path}/tmp/", unique_id="1")
        properties = {"store": str(tmp_path / name / "store"), "code": ""}
        OurStatisticsGen(context).Do({"examples": [examples]}, {"statistics": [described]}, properties)
        return tree_digest(examples.uri), tree_digest(described.uri)

    one, again, spread = (
        digests(name, beam) for name, beam in (("one", BEAM), ("again", BEAM), ("spread", SEVERAL_WORKERS))
    )
    assert one == again == spread


def test_example_gen_says_what_is_wrong_whatever_runs_it(tmp_path: Path) -> None:
    example_data.write_tfrecord(tmp_path / "data" / "a", example_data.labelled(9))
    example_data.write_tfrecord(
        tmp_path / "data" / "b", [*example_data.labelled(9), example_data.record(image=example_data.random_image(0))]
    )
    for number, beam in enumerate((BEAM, SEVERAL_WORKERS)):
        with pytest.raises(DataError, match=r"/data/b: record 9 \(counted from 0\): it has no label 'label'.*: image$"):
            ingest(tmp_path / str(number), Data(examples=str(tmp_path / "data")), beam)


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_example_gen_copies_files_that_are_split_as_they_are(tmp_path: Path, compression: str) -> None:
    records = example_data.labelled(30)
    names = ("train-a", "val-a", "test-a")
    for number, name in enumerate(names):
        example_data.write_tfrecord(tmp_path / "elsewhere" / name, records[number::3], compression)
    # As with mounted or fetched data, the named file is a link.
    (tmp_path / "data").mkdir()
    for name in names:
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere" / name)
    split = PatternSplit(train="train-*", validation="val-*", test="test-*")
    examples = ingest(tmp_path, Data(examples=str(tmp_path / "data"), split=split))
    for number, (name, source) in enumerate(zip(("train", "validation", "test"), names, strict=True)):
        assert read_split(examples, name) == records[number::3]
        (file,) = Path(examples.uri, f"Split-{name}").iterdir()
        assert not file.is_symlink() and not file.samefile(tmp_path / "elsewhere" / source)
        assert file.read_bytes() == (tmp_path / "elsewhere" / source).read_bytes()
        assert (file.suffix == ".gz") == (compression == "GZIP")
    # Overwritten in place, with the old modification time: the artifact contains what was read.
    data = tmp_path / "elsewhere" / "train-a"
    before, content = data.stat(), data.read_bytes()
    data.write_bytes(bytes(len(content)))
    os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_split(examples, "train") == records[::3]


def test_example_gen_writes_into_a_folder_of_an_earlier_life_and_not_into_the_users_files(tmp_path: Path) -> None:
    records = example_data.labelled(30)
    files = {name: example_data.write_tfrecord(tmp_path / "data" / name, records[n::3]) for n, name in enumerate("abc")}
    split = PatternSplit(train="a", validation="b", test="c")
    quarantine = BadRecords(policy="quarantine", max_fraction=0.9)
    data = Data(examples=str(tmp_path / "data"), split=split, bad_records=quarantine)
    ingest(tmp_path, data)
    for name, file in files.items():  # a link to the user's file, as earlier versions created it
        (artifact,) = (tmp_path / "examples").glob(f"Split-{SPLITS['abc'.index(name)]}/*")
        artifact.unlink()
        os.link(file, artifact)
    digests = {file: file_digest(str(file)) for file in files.values()}
    ingest(tmp_path, data, contract=CONTRACT.model_copy(update={"classes": ("dark",)}))
    assert {file: file_digest(str(file)) for file in files.values()} == digests


def test_example_gen_reads_only_files_that_are_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    do_ingest = small_files.ingest
    monkeypatch.setattr(small_files, "ingest", lambda job, folder: read.append(job) or do_ingest(job, folder))
    folder = tmp_path / "data"
    data = Data(examples=str(folder))
    example_data.write_tfrecord(folder / "a", example_data.labelled(40))
    example_data.write_tfrecord(folder / "b", example_data.labelled(90)[40:])
    ingest(tmp_path / "1", data, store=tmp_path / "store")
    assert len(read) == 2
    example_data.write_tfrecord(folder / "c", example_data.labelled(130)[90:])
    second = ingest(tmp_path / "2", data, store=tmp_path / "store")
    assert [Path(job.file.path).name for job in read[2:]] == ["c"]
    assert tree_digest(second.uri) == tree_digest(ingest(tmp_path / "fresh", data).uri)
    read.clear()
    example_data.write_tfrecord(folder / "a", example_data.labelled(41))
    ingest(tmp_path / "3", data, store=tmp_path / "store")
    assert [Path(job.file.path).name for job in read] == ["a"]
    read.clear()
    ingest(tmp_path / "4", data.model_copy(update={"split": HashSplit(train=1)}), store=tmp_path / "store")
    assert len(read) == 3


def test_example_gen_sets_bad_records_aside(tmp_path: Path) -> None:
    records = example_data.labelled(230)
    example_data.write_tfrecord(tmp_path / "data" / "fine", records[:100])
    example_data.write_tfrecord(
        tmp_path / "data" / "broken", [*records[100:200], example_data.record(image=example_data.random_image(0))]
    )
    cut = example_data.write_tfrecord(tmp_path / "data" / "cut", records[200:])
    cut.write_bytes(cut.read_bytes()[:-10])
    policy = BadRecords(policy="quarantine", max_fraction=0.02)
    examples = ingest(tmp_path, Data(examples=str(tmp_path / "data"), bad_records=policy))
    kept = [item for split in ("train", "validation", "test") for item in read_split(examples, split)]
    assert sorted(kept) == sorted(records[:229])
    listed = list(read_quarantine(f"{examples.uri}/{QUARANTINE_LIST}"))
    assert [(Path(entry.file).name, entry.record) for entry in listed] == [("broken", 100), ("cut", 29)]
    assert "it has no label 'label'" in listed[0].reason and "the file ends in the middle of it" in listed[1].reason
    assert Manifest.read(examples.uri).quarantined == 2
    (broken, _) = sorted(Path(examples.uri, "quarantine").iterdir())
    assert example_data.read_tfrecord(broken) == [example_data.record(image=example_data.random_image(0))]
    strict = Data(examples=str(tmp_path / "data"), bad_records=BadRecords(policy="quarantine", max_fraction=0.005))
    with pytest.raises(
        DataError,
        match=r"2 of 231 records are bad, 0.87%, but data.bad_records.max_fraction allows 0.50%(.|\n)*"
        r"/data/broken: record 100 \(counted from 0\): it has no label(.|\n)*/data/cut: record 29",
    ):
        ingest(tmp_path / "strict", strict)


def test_tfx_reads_plain_and_gzip_files_of_one_split(tmp_path: Path) -> None:
    records = example_data.labelled(60)
    for number, name in enumerate(("train-a", "val-a", "test-a", "train-b", "val-b", "test-b")):
        example_data.write_tfrecord(tmp_path / "data" / name, records[number::6], "GZIP" if name.endswith("b") else "")
    split = PatternSplit(train="train-*", validation="val-*", test="test-*")
    examples = ingest(tmp_path, Data(examples=str(tmp_path / "data"), split=split))
    statistics = artifact(standard_artifacts.ExampleStatistics, tmp_path / "statistics")
    beam_executor(StatisticsGen, tmp_path).Do({"examples": [examples]}, {"statistics": [statistics]}, {})
    for name in ("train", "validation", "test"):
        found = tfdv.load_stats_binary(f"{statistics.uri}/Split-{name}/FeatureStats.pb")
        assert found.datasets[0].num_examples == 20
        assert sorted(record.numpy() for record in read_records(split_files([examples], name))) == sorted(
            read_split(examples, name)
        )


def test_example_gen_makes_examples_of_sequence_examples(tmp_path: Path) -> None:
    records = example_data.labelled(80)
    example_data.write_tfrecord(tmp_path / "data" / "a", [example_data.sequence(record) for record in records[:40]])
    example_data.write_tfrecord(tmp_path / "data" / "b", records[40:])
    examples = ingest(tmp_path, Data(examples=str(tmp_path / "data")))
    assert examples_utils.get_payload_format(examples) == example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
    kept = [
        tf.train.Example.FromString(item).features.feature
        for split in ("train", "validation", "test")
        for item in read_split(examples, split)
    ]
    assert sum(list(columns["steps"].int64_list.value) == [0, 1, 2] for columns in kept) == 40
    before = [tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0] for record in records]
    assert sorted(columns["image"].bytes_list.value[0] for columns in kept) == sorted(before)


def test_example_gen_refuses_an_empty_split(tmp_path: Path) -> None:
    example_data.write_tfrecord(tmp_path / "data" / "a", example_data.labelled(1))
    with pytest.raises(DataError, match=r"is empty \(train 1, .*\): give more data"):
        ingest(tmp_path, Data(examples=str(tmp_path / "data")))


def test_example_gen_refuses_integers_in_one_file_and_strings_in_another(tmp_path: Path) -> None:
    example_data.write_tfrecord(tmp_path / "data" / "a", example_data.labelled(20))
    example_data.write_tfrecord(tmp_path / "data" / "b", example_data.labelled(20, ["dark", "light"]))
    with pytest.raises(DataError, match=r"the labels are integers in .*/data/a, but strings in .*/data/b"):
        ingest(tmp_path, Data(examples=str(tmp_path / "data")))


def test_example_gen_takes_files_without_any_of_several_labels_beside_others(tmp_path: Path) -> None:
    contract = Contract(images=(), label="tags", several=True)
    example_data.write_tfrecord(tmp_path / "data" / "a", [example_data.record(x=number) for number in range(40)])
    example_data.write_tfrecord(
        tmp_path / "data" / "b", [example_data.record(x=number, tags="sea") for number in range(40)]
    )
    data = Data(examples=str(tmp_path / "data"))
    assert sum(Manifest.read(ingest(tmp_path, data, contract=contract).uri).counts.values()) == 80
    example_data.write_tfrecord(
        tmp_path / "data" / "c", [example_data.record(x=number, tags=number) for number in range(40)]
    )
    with pytest.raises(DataError, match=r"the labels are integers in .*/data/c, but strings in .*/data/b"):
        ingest(tmp_path / "mixed", data, contract=contract)


def test_example_gen_refuses_whole_numbers_in_one_file_and_floats_in_another(tmp_path: Path) -> None:
    contract = Contract(images=(), numbers=("tips", "fare"))
    example_data.write_tfrecord(tmp_path / "data" / "a", [example_data.record(tips=n / 2, fare=n) for n in range(20)])
    example_data.write_tfrecord(
        tmp_path / "data" / "b", [example_data.record(tips=n / 2, fare=n / 2) for n in range(20)]
    )
    with pytest.raises(DataError, match=r"float32, int64 in .*/data/a; float32, float32 in .*/data/b"):
        ingest(tmp_path, Data(examples=str(tmp_path / "data")), contract=contract)


def run_hub_module(folder: Path, tuned: str = "", **hub):
    model = artifact(standard_artifacts.Model, folder / "model")
    features = {"photo": ImageFeature(kind="image", size=(8, 8))}
    executor(HubModule, folder).Do(
        {},
        {"model": [model]},
        {
            "name": "mean",
            "tuned": tuned,
            "infers": "",
            "hub": Hub(inputs={"images": "photo"}, **hub).to_property(),
            "features": dump_sections(Features, features),
        },
    )
    return model


def test_hub_module_stores_the_module_and_what_is_known_of_it(tmp_path: Path) -> None:
    source = hub_modules.mean_colour(tmp_path / "mean")
    model = run_hub_module(tmp_path, handle=str(source), sha256=tree_digest(str(source)))
    assert tree_digest(f"{model.uri}/module") == tree_digest(str(source))
    assert model.get_string_custom_property("handle") == str(source)
    assert model.get_string_custom_property("sha256") == tree_digest(str(source))
    assert '"images"' in model.get_string_custom_property("function")
    assert "offset" in Path(model.uri, "inspection.json").read_text()


def test_hub_module_refuses_what_has_not_a_row_for_each_and_warns_of_what_is_not_finite(tmp_path: Path, caplog) -> None:
    faces = make_model.saved(tmp_path / "faces", make_model.Faces())
    says = r"hubs.mean: .*'faces' doesn't have one row per example: the module returned \[[0-9]+, 6\]"
    with pytest.raises(UserError, match=says):
        run_hub_module(tmp_path / "flattened", handle=str(faces), output="faces")
    logs = hub_modules.module(
        tmp_path / "logs", hub_modules.IMAGES, lambda images: tf.math.log(tf.reduce_mean(images, [1, 2]))
    )
    model = run_hub_module(tmp_path / "not finite", handle=str(logs))
    assert "hubs.mean: tried on ordinary input, the module's output 'default' is -inf in 3 of 3" in caplog.text
    assert json.loads(Path(model.uri, "tried.json").read_text())["outputs"] == {"default": "row"}


def test_a_module_that_is_to_be_trained_must_have_something_to_train(tmp_path: Path) -> None:
    source = hub_modules.mean_colour(tmp_path / "mean")
    run_hub_module(tmp_path / "can", tuned="{}", handle=str(source))
    run_hub_module(tmp_path / "old", tuned="{}", handle=str(tf1_hub_modules.images(tmp_path / "tf1")))
    fixed = hub_modules.module(tmp_path / "fixed", hub_modules.IMAGES, lambda images: tf.reduce_mean(images, [1, 2]))
    with pytest.raises(UserError, match=r"fixed: the module can't be trained: it has no trainable variables"):
        run_hub_module(tmp_path / "cannot", tuned="{}", handle=str(fixed))
    with pytest.raises(UserError, match=r"tf1: training_mode needs a graph with the tag `train`, but there is none"):
        run_hub_module(tmp_path / "mode", tuned='{"training_mode": true}', handle=str(tmp_path / "tf1"))


def test_hub_module_says_which_entry_does_not_fit(tmp_path: Path) -> None:
    source = hub_modules.mean_colour(tmp_path / "mean")
    with pytest.raises(UserError, match=r"hubs.mean: .*/mean: the module has no signature 'absent'"):
        run_hub_module(tmp_path, handle=str(source), signature="absent")
