"""How converted rows are divided into shards, and what a failed conversion leaves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hubline.components.config.data import Data
from hubline.components.pin.snapshot import pin_files
from hubline.core.errors import UserError
from hubline.pipeline.convert import from_csv, shards
from tests.support import example_data
from tests.support.conversion import from_text, rows_of


@pytest.mark.parametrize(("wanted", "sizes"), [(None, [10]), (1, [10]), (3, [4, 3, 3]), (10, [1] * 10)])
@pytest.mark.parametrize("compressed", [True, False])
def test_shards_share_the_rows_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: int | None, sizes: list[int], compressed: bool
) -> None:
    monkeypatch.setattr(from_csv, "BATCH_ROWS", 4)
    done = from_text(tmp_path, "a\n" + "".join(f"{n}\n" for n in range(10)), shards=wanted, gzip=compressed)
    ending = "tfrecord.gz" if compressed else "tfrecord"
    names = [f"data-{number:05}-of-{len(sizes):05}.{ending}" for number in range(len(sizes))]
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == names == list(done.shards)
    compression = "GZIP" if compressed else ""
    assert [len(example_data.read_tfrecord(tmp_path / "out" / name, compression)) for name in names] == sizes
    assert [row["a"] for row in rows_of(tmp_path / "out")] == [[n] for n in range(10)]


@pytest.mark.slow
def test_shards_are_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 5000)
    monkeypatch.setattr(from_csv, "BATCH_ROWS", 7)
    lengths = np.random.default_rng(0).integers(0, 900, 200).tolist()
    lengths[50] = 6000  # larger than a shard
    text = "n,x\n" + "".join(f"{n},{'x' * length}\n" for n, length in enumerate(lengths))
    from_text(tmp_path, text)
    files = sorted((tmp_path / "out").iterdir())
    sizes = [path.stat().st_size for path in files]
    assert sum(size > 5000 for size in sizes) == 1
    records = [example_data.read_tfrecord(path) for path in files]
    assert [len(found) for found, size in zip(records, sizes, strict=True) if size > 5000] == [1]
    # No shard has room for the first record of the next.
    for size, later in zip(sizes, records[1:], strict=False):
        assert size + len(later[0]) + 16 > 5000
    assert [row["n"] for row in rows_of(tmp_path / "out")] == [[n] for n in range(200)]


@pytest.mark.slow
@pytest.mark.parametrize("compressed", [True, False])
def test_the_same_files_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool) -> None:
    text = "a,b,c,d\n" + "".join(f"{n},{n / 7},t{n % 5},{n % 3 or ''}\n" for n in range(500))
    from_text(tmp_path, text, shards=2, gzip=compressed)
    before = [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())]
    monkeypatch.setattr(from_csv, "BATCH_ROWS", 17)  # independent of the batches in which the file is read
    from_text(tmp_path, text, shards=2, gzip=compressed, overwrite=True)
    assert [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())] == before


def test_nothing_but_shards_is_in_the_output_and_ingestion_takes_them_all(tmp_path: Path) -> None:
    done = from_text(tmp_path, "a\n1\n2\n3\n", shards=3)
    (pinned,) = pin_files(Data(examples=str(tmp_path / "out"))).by_split.values()
    assert [Path(file.path).name for file in pinned] == list(done.shards)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out"]


def test_an_output_that_holds_something_is_kept(tmp_path: Path) -> None:
    text = "a\n1\n"
    (tmp_path / "out").mkdir()
    from_text(tmp_path, text)  # an empty one is available
    with pytest.raises(UserError, match=r"out: already contains 1 shards; use another folder, or --overwrite"):
        from_text(tmp_path, text)
    from_text(tmp_path, "a\n5\n", overwrite=True)
    assert rows_of(tmp_path / "out") == [{"a": [5]}]
    (tmp_path / "out" / "precious.txt").touch()
    with pytest.raises(UserError, match=r"out: contains files that no conversion wrote \(precious.txt\)"):
        from_text(tmp_path, text, overwrite=True)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_conversion_that_fails_half_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_text(tmp_path, "a\n1\n")

    def fail(*_: object) -> list[str]:
        (half,) = tmp_path.glob(".out-*/new")
        (half / "0").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "write_shards", fail)
    with pytest.raises(KeyboardInterrupt):
        from_text(tmp_path, "a\n2\n", overwrite=True)
    assert rows_of(tmp_path / "out") == [{"a": [1]}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out"]


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = shards.write_shards

    def change(*arguments: Any) -> list[str]:
        names = write(*arguments)
        (tmp_path / "a.csv").write_text("a\n22\n")
        return names

    monkeypatch.setattr(shards, "write_shards", change)
    with pytest.raises(UserError, match="changed during"):
        from_text(tmp_path, "a\n1\n")
    assert not (tmp_path / "out").exists()
