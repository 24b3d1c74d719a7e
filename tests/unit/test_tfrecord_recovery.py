"""Damaged TFRecord files: the fault is named, and every readable record is kept."""

import gzip
import itertools
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.artifacts.quarantine import FILE, QuarantinedRecord
from hubline.components.example_gen.ingest_job import QUARANTINE
from hubline.core.errors import DataError
from hubline.core.tfrecord_recovery import salvage
from tests.support import example_data
from tests.support.ingestion import ingest_to, job

FRAMING = 16  # a length (8), its checksum (4), the data, its checksum (4)


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_a_file_that_ends_too_early_is_named_with_its_record(tmp_path: Path, compression: str) -> None:
    path = example_data.write_tfrecord(tmp_path / "in", example_data.labelled(60), compression)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"in: record \d+ \(counted from 0\) cannot be read: the file is truncated"):
        ingest_to(tmp_path / "out", job(path))


def starts_of(records: list[bytes]) -> list[int]:
    """Offset of each record in an uncompressed file, and of the end of the file."""
    return [0, *itertools.accumulate(len(record) + FRAMING for record in records)]


def test_a_flipped_byte_is_named_with_its_record(tmp_path: Path) -> None:
    records = example_data.labelled(60)
    path = example_data.write_tfrecord(tmp_path / "in", records)
    content = bytearray(path.read_bytes())
    content[starts_of(records)[30] + 20] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"in: record 30 \(counted from 0\) cannot be read"):
        ingest_to(tmp_path / "out", job(path))


FEW = example_data.labelled(12)
STARTS = starts_of(FEW)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return example_data.write_tfrecord(tmp_path_factory.mktemp("plain") / "in", FEW).read_bytes()


def ingest_damaged(folder: Path, content: bytes) -> tuple[list[bytes], list[QuarantinedRecord]]:
    """Records of a damaged file in a split, in any order, and the quarantined ones."""
    (folder / "in").write_bytes(content)
    _, written, listed = ingest_to(folder / "out", job(folder / "in", policy="quarantine"))
    written.pop(QUARANTINE, None)
    (folder / "out" / QUARANTINE).unlink(missing_ok=True)
    (folder / "out" / FILE).unlink(missing_ok=True)
    return list(itertools.chain.from_iterable(written.values())), listed


def every_part_of_a_record() -> list[int]:
    """A byte in each part of the first, of a middle and of the last record: length, checksums and data."""
    parts = [0, 7, 8, 11, 12, 40]
    return [STARTS[k] + part for k in (0, 5, 11) for part in parts] + [
        STARTS[k] - back for k in (1, 6, 12) for back in (1, 4, 5)
    ]


@pytest.mark.parametrize("at", every_part_of_a_record())
def test_a_flip_in_a_plain_file_costs_the_one_record_that_it_hits(tmp_path: Path, plain: bytes, at: int) -> None:
    content = bytearray(plain)
    content[at] ^= 0x11
    hit = next(number for number in range(12) if at < STARTS[number + 1])
    kept, listed = ingest_damaged(tmp_path, content)
    assert sorted(kept) == sorted(FEW[:hit] + FEW[hit + 1 :])
    assert [(entry.file, entry.record) for entry in listed] == [(f"{tmp_path}/in", hit)]
    assert f"(bytes {STARTS[hit]} to {STARTS[hit + 1]})" in listed[0].reason


@pytest.mark.parametrize("at", [1, 11, 12, 13, *(STARTS[7] + part for part in (0, 1, 7, 11, 12, 50)), STARTS[12] - 1])
def test_a_cut_plain_file_gives_what_is_before_the_cut(tmp_path: Path, plain: bytes, at: int) -> None:
    whole = next(number for number in reversed(range(13)) if STARTS[number] <= at)
    kept, listed = ingest_damaged(tmp_path, plain[:at])
    assert sorted(kept) == sorted(FEW[:whole])
    assert [entry.record for entry in listed] == ([] if at == STARTS[whole] else [whole])


@given(st.lists(st.tuples(st.integers(0, STARTS[-1] - 1), st.integers(1, 255)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=50)
def test_whatever_is_flipped_the_other_records_are_all_read(plain: bytes, tmp_path_factory, flips) -> None:
    content = bytearray(plain)
    for at, mask in flips:
        content[at] ^= mask
    path = tmp_path_factory.mktemp("flipped") / "in"
    path.write_bytes(content)
    hit = {
        number
        for number in range(12)
        if content[slice(*STARTS[number : number + 2])] != plain[slice(*STARTS[number : number + 2])]
    }
    found = list(salvage(str(path)))
    assert [item.data for item in found if item.fault is None] == [FEW[k] for k in range(12) if k not in hit]
    assert len(found) <= 12


def test_lost_bytes_in_the_middle_cost_no_whole_record_but_what_they_touch(tmp_path: Path, plain: bytes) -> None:
    content = plain[: STARTS[4] + 5] + plain[STARTS[6] + 9 :]
    kept, listed = ingest_damaged(tmp_path, content)
    assert sorted(kept) == sorted(FEW[:4] + FEW[7:])
    assert [entry.record for entry in listed] == [4]


@pytest.mark.slow
@pytest.mark.parametrize("where", [0.0, 0.02, 0.3, 0.5, 0.7, 0.99])
@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_damaged_gzip_file_is_read_as_far_as_it_goes(tmp_path: Path, where: float, how: str) -> None:
    records = example_data.labelled(150)
    content = bytearray(example_data.write_tfrecord(tmp_path / "whole", records, "GZIP").read_bytes())
    at = max(3, int(where * len(content)))
    content[at] ^= 0xFF
    if how == "cut":
        del content[at:]
    kept, listed = ingest_damaged(tmp_path, bytes(content))
    assert not Counter(kept) - Counter(records)
    assert len(listed) >= (len(kept) < len(records))
    # All records that can be decompressed before the damage are recovered.
    inflated = zlib.decompressobj(31)
    clear = b""
    for byte in content[: at - 1]:
        clear += inflated.decompress(bytes([byte]))
    before = sum(start <= len(clear) for start in starts_of(records)[1:])
    assert set(records[:before]) <= set(kept)


@pytest.mark.slow
def test_a_gzip_file_whose_trailer_alone_is_damaged_loses_nothing(tmp_path: Path, plain: bytes) -> None:
    whole = gzip.compress(plain)
    for damaged in (whole[:-1], whole[:-8], whole[:-3] + b"???", whole[:-8] + b"????" + whole[-4:], whole + bytes(512)):
        kept, listed = ingest_damaged(tmp_path, damaged)
        assert sorted(kept) == sorted(FEW) and not listed


@pytest.mark.slow
def test_gzip_files_one_behind_the_other_are_one_file(tmp_path: Path, plain: bytes) -> None:
    halves = gzip.compress(plain[:700]) + gzip.compress(plain[700:])
    for content in (halves, gzip.compress(b"") + halves):  # TensorFlow's reader treats the second one as empty
        kept, listed = ingest_damaged(tmp_path, content)
        assert sorted(kept) == sorted(FEW) and not listed


@pytest.mark.usefixtures("in_no_python")
@pytest.mark.parametrize("sizes", [(700,), (100, 100, 300), (1, 2, 5000)])
def test_gzip_files_one_behind_the_other_are_read_without_python(tmp_path: Path, plain: bytes, sizes) -> None:
    ends = [0, *itertools.accumulate(sizes), len(plain)]
    content = b"".join(gzip.compress(plain[begin:end]) for begin, end in itertools.pairwise(ends))
    (tmp_path / "in").write_bytes(content)
    ingested, written, _ = ingest_to(tmp_path / "out", job(tmp_path / "in", split=None))
    assert written["train"] == FEW
    assert ingested.compression == "GZIP"


def test_members_that_tensorflow_does_not_see_are_read_all_the_same(tmp_path: Path, plain: bytes) -> None:
    """TensorFlow's reader treats an empty member as the end."""
    content = gzip.compress(plain[:700]) + gzip.compress(b"") + gzip.compress(plain[700:])
    (tmp_path / "in").write_bytes(content)
    _, written, _ = ingest_to(tmp_path / "out", job(tmp_path / "in", split=None))
    assert written["train"] == FEW


def test_a_gzip_file_that_ends_between_records_is_noticed(tmp_path: Path, plain: bytes) -> None:
    # Flushed after each record, such a file can be truncated without a trace in the records themselves.
    stream = zlib.compressobj(wbits=31)
    content = b""
    for begin, end in itertools.pairwise(STARTS[:8]):
        content += stream.compress(plain[begin:end]) + stream.flush(zlib.Z_SYNC_FLUSH)
    kept, listed = ingest_damaged(tmp_path, content)
    assert sorted(kept) == sorted(FEW[:7])
    assert [entry.record for entry in listed] == [7] and "the GZIP stream is truncated" in listed[0].reason
    with pytest.raises(DataError, match=r"record 7 \(counted from 0\) cannot be read.*the GZIP stream is truncated"):
        ingest_to(tmp_path / "out", job(tmp_path / "in"))


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    for content in (b"", gzip.compress(b"")):
        assert ingest_damaged(tmp_path, content) == ([], [])
