"""Our components' executors, one at a time, on real artifacts and real Beam."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.types import standard_artifacts

from components.config import Data, HashSplit, PatternSplit
from components.data_gate.executor import Executor as DataGate
from components.digest import tree_digest
from components.example_gen.contract import Contract
from components.example_gen.executor import Executor as ExampleGen
from components.example_gen.manifest import Manifest
from components.hub_module.executor import Executor as HubModule
from components.pin.pin import pin_files
from components.pusher.executor import DESTINATION, PUSHED
from components.pusher.executor import Executor as Pusher
from preprocessing.config import Features, ImageFeature
from preprocessing.errors import DataError, UserError
from preprocessing.section import dump_sections
from tests import make
from trainer.config import Hub

BEAM = ["--direct_running_mode=in_memory", "--direct_num_workers=1"]
CONTRACT = Contract(images=("image",), label="label", classes=("dark", "light"))


def beam_executor(kind, folder: Path):
    return kind(base_beam_executor.BaseBeamExecutor.Context(BEAM, tmp_dir=f"{folder}/tmp/", unique_id="1"))


def executor(kind, folder: Path):
    return kind(base_executor.BaseExecutor.Context(tmp_dir=f"{folder}/tmp/", unique_id="1"))


def artifact(kind, folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri = str(folder)
    return made


def ingest(folder: Path, data: Data):
    examples = artifact(standard_artifacts.Examples, folder / "examples")
    beam_executor(ExampleGen, folder).Do(
        {},
        {"examples": [examples]},
        {
            "files": pin_files(data).to_property(),
            "split": data.split.to_property() if isinstance(data.split, HashSplit) else "",
            "contract": CONTRACT.to_property(),
        },
    )
    return examples


def read_split(examples, split: str) -> list[bytes]:
    files = sorted(Path(examples.uri, f"Split-{split}").iterdir())
    return [item for file in files for item in make.read_tfrecord(file, "GZIP")]


def test_example_gen_puts_every_record_of_plain_and_gzip_files_in_one_split(tmp_path: Path) -> None:
    records = make.labelled(120)
    make.write_tfrecord(tmp_path / "data" / "a", records[:70])
    make.write_tfrecord(tmp_path / "data" / "b.gz", records[70:], "GZIP")
    examples = ingest(tmp_path, Data(examples=str(tmp_path / "data"), split=HashSplit(train=2, validation=1, test=1)))
    splits = {split: read_split(examples, split) for split in ("train", "validation", "test")}
    assert sorted(item for items in splits.values() for item in items) == sorted(records)
    manifest = Manifest.read(examples.uri)
    assert manifest.counts == {split: len(items) for split, items in splits.items()}
    assert manifest.sources == (f"{tmp_path}/data/a", f"{tmp_path}/data/b.gz")


def test_example_gen_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    make.write_tfrecord(tmp_path / "data" / "a", make.labelled(60))
    make.write_tfrecord(tmp_path / "data" / "b", make.labelled(90)[60:])
    data = Data(examples=str(tmp_path / "data"))
    one, two = (ingest(tmp_path / name, data) for name in ("one", "two"))
    assert [read_split(one, split) for split in ("train", "test")] == [
        read_split(two, split) for split in ("train", "test")
    ]


def test_example_gen_splits_by_pattern(tmp_path: Path) -> None:
    records = make.labelled(30)
    for number, name in enumerate(("train-a", "val-a", "test-a")):
        make.write_tfrecord(tmp_path / "data" / name, records[number::3])
    split = PatternSplit(train="train-*", validation="val-*", test="test-*")
    examples = ingest(tmp_path, Data(examples=str(tmp_path / "data"), split=split))
    for number, name in enumerate(("train", "validation", "test")):
        assert read_split(examples, name) == records[number::3]


def test_example_gen_names_the_record_and_not_the_beam_transform(tmp_path: Path) -> None:
    make.write_tfrecord(tmp_path / "data" / "a", [*make.labelled(9), make.record(image=make.random_image(0))])
    with pytest.raises(DataError, match=r"/data/a: record 9 \(counted from 0\): it has no label 'label'.*: image$"):
        ingest(tmp_path, Data(examples=str(tmp_path / "data")))


def test_example_gen_refuses_an_empty_split(tmp_path: Path) -> None:
    make.write_tfrecord(tmp_path / "data" / "a", make.labelled(1))
    with pytest.raises(DataError, match=r"is empty \(train 1, .*\): give more data"):
        ingest(tmp_path, Data(examples=str(tmp_path / "data")))


def test_example_gen_refuses_integers_in_one_file_and_strings_in_another(tmp_path: Path) -> None:
    make.write_tfrecord(tmp_path / "data" / "a", make.labelled(20))
    make.write_tfrecord(tmp_path / "data" / "b", make.labelled(20, ["dark", "light"]))
    with pytest.raises(DataError, match=r"the labels are integers in .*/data/a, and strings in .*/data/b"):
        ingest(tmp_path, Data(examples=str(tmp_path / "data")))


def run_hub_module(folder: Path, **hub):
    model = artifact(standard_artifacts.Model, folder / "model")
    features = {"photo": ImageFeature(kind="image", size=(8, 8))}
    executor(HubModule, folder).Do(
        {},
        {"model": [model]},
        {
            "name": "mean",
            "hub": Hub(inputs={"images": "photo"}, **hub).to_property(),
            "features": dump_sections(Features, features),
        },
    )
    return model


def test_hub_module_stores_the_module_and_what_is_known_of_it(tmp_path: Path) -> None:
    source = make.hub_module(tmp_path / "mean")
    model = run_hub_module(tmp_path, handle=str(source), sha256=tree_digest(str(source)))
    assert tree_digest(f"{model.uri}/module") == tree_digest(str(source))
    assert model.get_string_custom_property("handle") == str(source)
    assert model.get_string_custom_property("sha256") == tree_digest(str(source))
    assert '"images"' in model.get_string_custom_property("function")
    assert "offset" in Path(model.uri, "inspection.json").read_text()


def test_hub_module_says_which_entry_does_not_fit(tmp_path: Path) -> None:
    source = make.hub_module(tmp_path / "mean")
    with pytest.raises(UserError, match=r"hubs.mean: .*/mean: the module has no signature 'absent'"):
        run_hub_module(tmp_path, handle=str(source), signature="absent")


def gate(folder: Path, text: str) -> None:
    anomalies = artifact(standard_artifacts.ExampleAnomalies, folder / "anomalies")
    anomalies.split_names = '["train"]'
    split = folder / "anomalies" / "Split-train"
    split.mkdir()
    message = text_format.Parse(text, anomalies_pb2.Anomalies())
    (split / "SchemaDiff.pb").write_bytes(message.SerializeToString())
    executor(DataGate, folder).Do({"anomalies": [anomalies]}, {}, {})


def test_the_gate_opens_where_nothing_is_wrong_and_names_what_is(tmp_path: Path) -> None:
    gate(tmp_path / "fine", "")
    found = 'anomaly_info {key: "label" value {description: "Unexpected string values: x" severity: ERROR}}'
    with pytest.raises(DataError, match=r"train: column 'label': Unexpected string values: x"):
        gate(tmp_path / "bad", found)


def run_pusher(folder: Path, model: Path, blessed: bool):
    blessing = artifact(standard_artifacts.ModelBlessing, folder / "blessing")
    blessing.set_int_custom_property("blessed", int(blessed))
    pushed = artifact(standard_artifacts.PushedModel, folder / "pushed")
    executor(Pusher, folder).Do(
        {"model": [artifact(standard_artifacts.Model, model)], "blessing": [blessing]},
        {"pushed_model": [pushed]},
        {"destination": str(folder / "serving")},
    )
    return pushed.get_int_custom_property(PUSHED), pushed.get_string_custom_property(DESTINATION)


def test_the_pusher_pushes_what_is_blessed_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "Format-Serving").mkdir(parents=True)
        (tmp_path / name / "Format-Serving" / "saved_model.pb").write_text(name)
    serving = tmp_path / "serving"
    assert run_pusher(tmp_path, tmp_path / "one", blessed=False) == (0, "")
    assert run_pusher(tmp_path, tmp_path / "one", blessed=True) == (1, f"{serving}/1")
    assert run_pusher(tmp_path, tmp_path / "one", blessed=True) == (0, f"{serving}/1")
    assert run_pusher(tmp_path, tmp_path / "two", blessed=False) == (0, f"{serving}/1")
    assert run_pusher(tmp_path, tmp_path / "two", blessed=True) == (1, f"{serving}/2")
    assert sorted(path.name for path in serving.iterdir()) == ["1", "2"]
