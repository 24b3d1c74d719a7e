"""`data.split.group`: records with the same value of a column are in the same split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hubline.artifacts.examples import Manifest, ShardFile
from hubline.artifacts.splits import SPLITS
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.ingest_exact import ingest_exactly
from hubline.components.example_gen.ingest_job import Job
from hubline.components.example_gen.results import Result, refuse_empty
from hubline.core.errors import DataError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from tests.support import example_data
from tests.support.ingestion import columns_in, ingest_to, job
from tests.support.siphash import siphash, split_of_key

SPLIT = HashSplit(train=6, validation=2, test=2, group="patient")
CONTRACT = Contract(images=(), numbers=("y",), group="patient")


def task(path: Path, split: HashSplit = SPLIT, **rest: Any) -> Job:
    return job(path, split).model_copy(update={"contract": CONTRACT} | rest)


def visits(value_of: Callable[[int], Any], count: int = 300) -> list[bytes]:
    """Records of 40 patients."""
    return [example_data.record(patient=value_of(n % 40), y=n % 2, number=n) for n in range(count)]


def test_the_reference_hash_is_that_of_the_paper() -> None:
    # The test vectors of the reference implementation, https://github.com/veorq/SipHash: key 00 01 … 0f.
    key = int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little")
    assert siphash(bytes(range(15)), key) == 0xA129CA6149BE45E5
    assert siphash(b"", key) == 0x726FDB47DD0E0E31


@pytest.mark.parametrize("value_of", [lambda n: f"patient {n}", lambda n: n * 10**15 - 7])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.usefixtures("in_no_python")
def test_a_group_is_in_the_split_of_its_hash(tmp_path: Path, value_of: Callable[[int], Any], sequences: bool) -> None:
    records = visits(value_of)
    if sequences:
        records[::2] = map(example_data.sequence, records[::2])
    _, written, _ = ingest_to(tmp_path / "out", task(example_data.write_tfrecord(tmp_path / "in", records)))
    splits: list[list[int]] = [[], [], []]
    for n in range(300):
        value = value_of(n % 40)
        at = split_of_key(value.encode() if isinstance(value, str) else b"%d" % value, 6, 2, 2)
        splits[SPLITS.index(at)].append(n)
    assert [[columns_in(each)["number"][0] for each in written[name]] for name in SPLITS] == splits
    assert all(splits)


def test_reading_record_by_record_splits_the_same(tmp_path: Path) -> None:
    for kind, value_of in (("text", lambda n: f"patient {n}"), ("integer", lambda n: n)):
        folder = tmp_path / kind
        path = example_data.write_tfrecord(folder / "in", visits(value_of))
        _, written, _ = ingest_to(folder / "fast", task(path))
        (folder / "exact").mkdir()
        ingest_exactly(task(path), str(folder / "exact"))
        assert {name: example_data.read_tfrecord(folder / "exact" / name) for name in SPLITS} == written


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({}, "it has no group 'patient'; its columns are: number, y"),
        ({"patient": ""}, "its group 'patient' is an empty text"),
        ({"patient": example_data.feature("a", "b")}, "its group 'patient' has 2 values; it must have one"),
        ({"patient": 3}, "its group 'patient' is 3, of another type than those before it"),
        ({"patient": 3.5}, "its group 'patient' is 3.5; it must be a text or an integer"),
    ],
)
def test_a_record_without_a_group_is_bad(tmp_path: Path, bad: dict[str, Any], says: str) -> None:
    records = [*visits(str, 50), example_data.record(y=1, number=50, **bad), *visits(str, 50)]
    path = example_data.write_tfrecord(tmp_path / "in", records)
    _, written, listed = ingest_to(tmp_path / "out", task(path, policy="quarantine"))
    assert [(each.record, each.reason) for each in listed] == [(50, says)]
    assert sum(len(written[name]) for name in SPLITS) == 100
    with pytest.raises(DataError, match="record 50 .counted from 0.: " + says.split(";")[0]):
        ingest_to(tmp_path / "failed", task(path))


def test_records_of_floats_alone_have_no_groups(tmp_path: Path) -> None:
    path = example_data.write_tfrecord(tmp_path / "in", visits(float, 20))
    _, _, listed = ingest_to(tmp_path / "out", task(path, policy="quarantine"))
    assert len(listed) == 20


@pytest.mark.parametrize("others", ["none", "text", "some"])
def test_records_that_are_left_out_may_lack_the_group(tmp_path: Path, others: str) -> None:
    wild = {"none": {}, "text": {"patient": "none"}, "some": {"patient": example_data.feature("a", "b")}}[others]
    records = [example_data.record(number=n, year=1990, **wild) for n in range(60)]
    if others != "text":
        records += [example_data.record(patient=f"p{n % 9}", y=1, number=n, year=2000) for n in range(90)]
    path = example_data.write_tfrecord(tmp_path / "in", records)
    ingested, written, _ = ingest_to(tmp_path / "out", task(path, where="year > 1999"))
    assert sum(part.left_out.where for part in ingested.parts) == 60
    assert sum(map(len, written.values())) == len(records) - 60
    for name in SPLITS:
        assert {split_of_key(columns_in(each)["patient"][0], 6, 2, 2) for each in written[name]} <= {name}


def test_an_empty_split_counts_the_groups(tmp_path: Path) -> None:
    path = example_data.write_tfrecord(tmp_path / "in", visits(lambda n: n % 2))
    ingested, *_ = ingest_to(tmp_path / "out", task(path))
    manifest = Manifest(shards=tuple(ShardFile(name="data", **part.model_dump()) for part in ingested.parts), images=())
    with pytest.raises(DataError, match=r"the column 'patient' of data.split.group has only 2 values"):
        refuse_empty(manifest, SPLIT, [Result("all", "0", str(tmp_path / "out"), ingested)])


def write(folder: Path, split: str, data: str = "") -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(
        f"name: tiny\ndata:\n  examples: data\n  split: {split}\n{data}features: {{x: {{kind: numeric}}}}\n"
        "label: {kind: binary, from: y}\ntraining: {epochs: 1}\nserving: {destination: serving}\n"
    )
    return path


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ("{train: a, validation: b, test: c, group: p}", "group is for splits by hash"),
        ("{train: 0.8, validation: 0.1, test: 0.1, group: p}", "write {train: 8, validation: 1, test: 1, group: p}"),
        ("{group: y}", "'y' is what the label is made from"),
        ("{group: ''}", "at least 1 character"),
        ("{group: p, stratify: x}", "group and stratify exclude each other"),
        ("{train: a, validation: b, test: c, stratify: y}", "stratify is for splits by hash"),
    ],
)
def test_what_is_no_group_has_its_line(tmp_path: Path, split: str, says: str) -> None:
    with pytest.raises(PipelineFileError) as caught:
        load(write(tmp_path, split))
    (found,) = caught.value.diagnostics
    assert found.key.startswith("data.split") and found.line == 4 and says in found.message


@pytest.mark.parametrize("data", ["", "  bad_records: {policy: quarantine}\n"])
def test_a_group_that_no_record_has_is_found_before_a_run(tmp_path: Path, data: str) -> None:
    records = [example_data.record(x=1.0, y=1, patient=n, weight=1.5) for n in range(5)]
    example_data.write_tfrecord(tmp_path / "data" / "a", records, "GZIP")
    check(write(tmp_path, "{group: patient}", data))
    with pytest.raises(PipelineFileError) as caught:
        check(write(tmp_path, "{group: patinet}", data))
    (found,) = caught.value.diagnostics
    assert (found.key, found.line) == ("data.split.group", 4) and "did you mean 'patient'?" in found.message


def test_a_label_of_floats_is_no_class_to_stratify_by(tmp_path: Path) -> None:
    path = example_data.write_tfrecord(tmp_path / "data" / "a", [example_data.record(x=1.0, y=1.0)], "GZIP")
    with pytest.raises(PipelineFileError, match=r"y' of the first record is the float 1; it must") as caught:
        check(write(tmp_path, "{stratify: y}"))
    assert [found.key for found in caught.value.diagnostics] == ["data.split.stratify"]
    example_data.write_tfrecord(path, [example_data.record(x=1.0)], "GZIP")
    with pytest.raises(PipelineFileError, match="no label 'y'") as caught:
        check(write(tmp_path, "{stratify: y}"))
    assert len(caught.value.diagnostics) == 1, "what a record lacks is said once"


def test_groups_of_floats_are_found_before_a_run(tmp_path: Path) -> None:
    example_data.write_tfrecord(tmp_path / "data" / "a", [example_data.record(x=1.0, y=1, patient=1.5)], "GZIP")
    with pytest.raises(PipelineFileError, match=r"the group 'patient' of the first record is the float 1.5; it must"):
        check(write(tmp_path, "{group: patient}"))
