"""Many small files, which are ingested together with the same result as one by one."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tfx.types import standard_artifacts

from hubline.artifacts.examples import Manifest
from hubline.artifacts.pins import PinnedFile
from hubline.artifacts.quarantine import FILE, QuarantinedRecord, read_quarantine
from hubline.artifacts.splits import SPLITS
from hubline.components.config.bad_records import BadRecords
from hubline.components.config.data import Data
from hubline.components.config.splits import PatternSplit
from hubline.components.example_gen import ingest_fast, small_files
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.small_files import grouped
from hubline.components.statistics_gen.columns import read_non_finite
from hubline.components.statistics_gen.executor import Executor as StatisticsGen
from hubline.core.errors import DataError
from tests.support import example_data
from tests.support.executors import artifact, beam_executor, ingest, read_split

CONTRACT = Contract(images=(), label="label", classes=("no", "yes"))
QUARANTINE = BadRecords(policy="quarantine", max_fraction=1.0)


def record(number: int, **columns) -> bytes:
    return example_data.record(label=number % 2, x=columns.pop("x", float(number)), name=f"{number}", **columns)


def write_files(folder: Path, sizes: Sequence[int]) -> list[Path]:
    """Files with the given numbers of records, numbered consecutively; every third one is GZIP."""
    first = list(itertools.accumulate(sizes, initial=0))
    return [
        example_data.write_tfrecord(
            folder / f"{n:04d}", [record(first[n] + i) for i in range(size)], "" if n % 3 else "GZIP"
        )
        for n, size in enumerate(sizes)
    ]


def outcome(folder: Path, data: Data) -> tuple[dict, dict, list[QuarantinedRecord], dict]:
    """ExampleGen's result: records and their files by split, quarantined records with their bytes, and counts."""
    examples = ingest(folder, data, contract=CONTRACT)
    manifest = Manifest.read(examples.uri)
    records = {split: read_split(examples, split) for split in manifest.splits}
    files: dict[str, list[str]] = {}
    for shard in (shard for split in manifest.splits for shard in manifest.of(split)):
        files.setdefault(shard.split, []).extend(shard.files_of(range(shard.count)))
    kept = [example_data.read_tfrecord(path) for path in sorted(Path(examples.uri).glob("quarantine/*"))]
    set_aside = list(read_quarantine(f"{examples.uri}/{FILE}"))
    return (
        records,
        files,
        set_aside,
        {"counts": manifest.counts, "quarantined": manifest.quarantined, "kept": list(itertools.chain(*kept))},
    )


def both_ways(folder: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> tuple[tuple, tuple]:
    """The result with files in groups, and one by one."""
    together = outcome(folder / "together", data)
    with monkeypatch.context() as patch:
        patch.setattr(small_files, "FEW", 10**9)
        return together, outcome(folder / "alone", data)


@given(sizes=st.lists(st.integers(0, 9), min_size=17, max_size=30).filter(lambda sizes: sum(sizes) > 60))
@settings(deadline=None, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_their_order_their_files_and_their_split_are_those_of_the_files_alone(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("sizes")
    write_files(folder / "data", sizes)
    together, alone = both_ways(folder, Data(examples=str(folder / "data")), monkeypatch)
    assert together == alone
    assert sum(together[3]["counts"].values()) == sum(sizes)
    shards = Manifest.read(f"{folder}/together/examples").shards
    assert len(shards) < len(sizes) == len(Manifest.read(f"{folder}/alone/examples").sources)


def test_files_that_are_split_by_pattern_stay_in_their_split_and_order(tmp_path: Path, monkeypatch) -> None:
    written = {split: write_files(tmp_path / split, [3, 1, 0, 2] * 5) for split in SPLITS}
    split = PatternSplit(**{name: f"{name}/*" for name in SPLITS})
    monkeypatch.chdir(tmp_path)
    data = Data(examples=str(tmp_path), split=split)
    together, alone = both_ways(tmp_path, data, monkeypatch)
    assert together == alone
    expected = [str(path) for n, path in enumerate(written["test"]) for _ in range([3, 1, 0, 2][n % 4])]
    assert together[1]["test"] == expected


def test_what_is_wrong_in_a_small_file_is_named_and_set_aside_as_in_one_alone(tmp_path: Path, monkeypatch) -> None:
    paths = write_files(tmp_path / "data", [4] * 24)
    paths[4].write_bytes(paths[4].read_bytes()[:-20])  # within its last record, which the next file mustn't complete
    content = bytearray(paths[7].read_bytes())
    content[20] ^= 1
    paths[7].write_bytes(content)
    paths[9].write_bytes(paths[9].read_bytes()[:-12])  # a truncated GZIP stream
    example_data.write_tfrecord(paths[13], [record(0), example_data.record(label=7, x=0.0), record(1)])
    example_data.write_tfrecord(paths[16], [example_data.record(label="yes", x=0.0), record(2)])
    paths[20].write_bytes(b"no TFRecords at all")
    data = Data(examples=str(tmp_path / "data"), bad_records=QUARANTINE)
    with pytest.raises(DataError, match=r"the labels are integers in .*, but strings in .*/0016"):
        ingest(tmp_path / "types", data, contract=CONTRACT)
    example_data.write_tfrecord(paths[16], [record(1), record(2)])
    together, alone = both_ways(tmp_path, data, monkeypatch)
    assert together == alone
    bad = {(Path(entry.file).name, entry.record) for entry in together[2]}
    assert {("0004", 3), ("0007", 0), ("0013", 1), ("0020", 0)} <= bad
    assert "outside 0 to 1" in next(entry.reason for entry in together[2] if entry.file.endswith("0013"))
    strict = Data(examples=str(tmp_path / "data"))
    for path in (paths[4], paths[7], paths[9], paths[20]):
        path.unlink()
    with pytest.raises(DataError, match=r"/data/0013: record 1 \(counted from 0\): its label 'label' is 7"):
        ingest(tmp_path / "strict", strict, contract=CONTRACT)


def test_a_file_that_ends_within_a_record_is_not_mended_by_the_next(tmp_path: Path, monkeypatch) -> None:
    paths = write_files(tmp_path / "data", [4] * 20)
    one, other = (
        example_data.write_tfrecord(tmp_path / "one", [record(1)]),
        example_data.write_tfrecord(tmp_path / "two", [record(2)]),
    )
    whole = one.read_bytes() + other.read_bytes()
    paths[1].write_bytes(whole[:-9])
    paths[2].write_bytes(whole[-9:])
    data = Data(examples=str(tmp_path / "data"), bad_records=QUARANTINE)
    together, alone = both_ways(tmp_path, data, monkeypatch)
    assert together == alone
    assert [(Path(entry.file).name, entry.record) for entry in together[2]] == [("0001", 1), ("0002", 0)]


@pytest.mark.both_stacks
def test_statistics_name_the_file_of_what_is_no_number_or_of_another_type(tmp_path: Path) -> None:
    paths = write_files(tmp_path / "data", [30] * 20)
    example_data.write_tfrecord(
        paths[5], [record(number, x=float("nan") if number < 20 else 0.5) for number in range(300)]
    )
    examples = ingest(tmp_path, Data(examples=str(tmp_path / "data")), contract=CONTRACT)

    def describe(name: str, examples) -> str:
        described = artifact(standard_artifacts.ExampleStatistics, tmp_path / name)
        beam_executor(StatisticsGen, tmp_path).Do(
            {"examples": [examples]}, {"statistics": [described]}, {"store": str(tmp_path / "store"), "code": ""}
        )
        return described.uri

    found = read_non_finite(describe("statistics", examples))
    assert {(entry.file, entry.column) for entry in found} == {(str(paths[5]), "x")}
    assert sum(entry.nan for entry in found) == 20
    example_data.write_tfrecord(paths[7], [record(number, x=number) for number in range(40)])
    mixed = ingest(tmp_path / "mixed", Data(examples=str(tmp_path / "data")), contract=CONTRACT)
    with pytest.raises(DataError) as error:
        describe("mixed-statistics", mixed)
    assert "column 'x': float in 840 records (" in str(error.value) and " and 18 more files)" in str(error.value)
    assert f"int64 in 40 records (train: {paths[7]})" in str(error.value)


def pinned(number: int, size: int = 100, span: int | None = None) -> PinnedFile:
    return PinnedFile(path=f"data/{number:05d}", size=size, modified=0, span=span)


@given(st.lists(st.tuples(st.sampled_from([0, 90, 1 << 19, 1 << 20, 1 << 21]), st.integers(0, 2)), max_size=400))
@settings(deadline=None, max_examples=50)
def test_groups_are_the_files_in_their_order_and_never_of_two_spans(files: list[tuple[int, int]]) -> None:
    given_files = [pinned(n, size, span) for n, (size, span) in enumerate(sorted(files, key=lambda file: file[1]))]
    groups = grouped(given_files)
    assert [file for group in groups for file in group] == given_files
    for group in groups:
        assert len({file.span for file in group}) == 1
        assert len(group) == 1 or max(file.size for file in group) <= 1 << 20
        assert len(group) == 1 or sum(file.size for file in group) <= 1 << 24
    if len(given_files) <= 16:
        assert all(len(group) == 1 for group in groups)


def test_an_added_file_or_span_leaves_the_other_groups_as_they_were() -> None:
    files = [pinned(2 * number) for number in range(3000)]
    before = set(grouped(files))
    assert 10 < len(before) < 80
    added = sorted([*files, pinned(2001)], key=lambda file: file.path)
    assert len(before - set(grouped(added))) <= 3
    spans = [file.model_copy(update={"span": 1}) for file in files]
    later = [pinned(10_000 + number, span=2) for number in range(40)]
    assert set(grouped(spans)) <= set(grouped([*spans, *later]))


def test_a_thousand_files_are_read_as_some_tens_and_give_what_one_gives(tmp_path: Path, monkeypatch) -> None:
    records = [record(number) for number in range(1000)]
    for number, one in enumerate(records):
        example_data.write_tfrecord(tmp_path / "many" / f"{number:04d}", [one], "GZIP" if number % 2 else "")
    example_data.write_tfrecord(tmp_path / "single" / "all", records)
    read: list[str] = []
    survey = small_files.survey
    for module in small_files, ingest_fast:  # the latter reads a file that is alone in its group
        monkeypatch.setattr(module, "survey", lambda job: read.append(job.file.path) or survey(job))

    def ingested(name: str) -> tuple[dict[str, list[bytes]], Manifest]:
        examples = ingest(tmp_path / "out" / name, Data(examples=str(tmp_path / name)), contract=CONTRACT)
        return {split: read_split(examples, split) for split in SPLITS}, Manifest.read(examples.uri)

    expected, one = ingested("single")
    assert len(read) == 1
    read.clear()
    got, many = ingested("many")
    assert got == expected and many.counts == one.counts
    assert len(many.sources) == 1000 and len(one.shards) == 3
    assert len(many.shards) == 3 * len(read) and 4 <= len(read) < 40
