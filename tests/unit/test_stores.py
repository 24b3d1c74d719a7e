"""The same calls give the same on a disk and in every store."""

import gzip
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from hubline.core import storage
from hubline.core.digest import tree_digest
from hubline.core.errors import UserError
from hubline.core.shard_cache import ShardCache


def put(folder: str, **files: bytes) -> None:
    for name, content in files.items():
        storage.write_bytes(f"{folder}/{name.replace('__', '/')}", content)


@pytest.mark.slow
def test_listing_opening_copying_and_removing_are_the_same_everywhere(place: str, tmp_path: Path) -> None:
    assert not storage.exists(f"{place}/a") and storage.names(f"{place}/a") == []
    put(f"{place}/a", x=b"xx", b__y=b"yyy", b__c__z=b"", _hidden=b"h")
    assert storage.exists(f"{place}/a") and storage.exists(f"{place}/a/x") and not storage.exists(f"{place}/a/xx")
    assert storage.is_folder(f"{place}/a/b") and not storage.is_folder(f"{place}/a/x")
    assert storage.names(f"{place}/a") == ["_hidden", "b", "x"] == storage.names(f"{place}/a/")
    assert storage.names(f"{place}/a/x") == []
    assert storage.files_below(f"{place}/a") == ["_hidden", "b/c/z", "b/y", "x"]
    assert storage.files_below(f"{place}/none") == []
    assert storage.glob(f"{place}/a/*") == [f"{place}/a/{name}" for name in ("_hidden", "b", "x")]
    assert storage.glob(f"{place}/a/x") == [f"{place}/a/x"] and storage.glob(f"{place}/a/nothing") == []
    assert storage.glob(f"{place}/a/[a-c]/?") == [f"{place}/a/b/c", f"{place}/a/b/y"]
    assert storage.glob(f"{place}/a/**/z") == [f"{place}/a/b/c/z"]
    with storage.open_binary(f"{place}/a/b/y") as file:
        assert file.read(1) == b"y" and file.seek(0) == 0 and file.read() == b"yyy"
    with pytest.raises(FileNotFoundError), storage.open_binary(f"{place}/a/none") as file:
        file.read()
    with pytest.raises(FileNotFoundError):
        storage.stat(f"{place}/a/none")
    storage.copy_tree(f"{place}/a", f"{place}/copy")
    storage.copy_tree(f"{place}/copy", f"{tmp_path}/down")
    storage.copy_tree(f"{tmp_path}/down", f"{place}/up")
    assert len({tree_digest(each) for each in (f"{place}/a", f"{place}/copy", f"{tmp_path}/down", f"{place}/up")}) == 1
    storage.remove(f"{place}/a/x")
    storage.remove(f"{place}/a/x")
    storage.remove_tree(f"{place}/a/b")
    storage.remove_tree(f"{place}/a/none")
    assert storage.names(f"{place}/a") == ["_hidden"]


def test_a_file_has_its_size_and_another_time_or_version_once_it_is_written_again(place: str) -> None:
    storage.write_bytes(f"{place}/file", b"12345")
    first = storage.stat(f"{place}/file")
    assert storage.stat(f"{place}/file") == first and first.size == 5
    assert first.modified > 1.7e18
    storage.write_bytes(f"{place}/file", b"54321")
    assert storage.stat(f"{place}/file") != first


@pytest.mark.slow
def test_a_new_file_is_written_by_one_of_many(place: str) -> None:
    if place.startswith("memory:"):
        assert [storage.write_new(f"{place}/mark", content) for content in (b"1", b"2")] == [True, False]
        return
    barrier, written = threading.Barrier(8), []

    def write(number: int) -> None:
        for turn in range(10):
            barrier.wait()
            if storage.write_new(f"{place}/mark-{turn}", f"{number}".encode()):
                written.append((turn, number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turn for turn, _ in written) == list(range(10))
    for turn, number in written:
        with storage.open_binary(f"{place}/mark-{turn}") as file:
            assert file.read() == f"{number}".encode()


def test_tensorflow_gets_a_path_that_it_reads_and_the_copy_goes(place: str) -> None:
    tf = pytest.importorskip("tensorflow")
    storage.write_bytes(f"{place}/folder/words.gz", gzip.compress(b"words"))
    with storage.on_disk(f"{place}/folder/words.gz") as path:
        assert tf.io.decode_compressed(tf.io.read_file(path), "GZIP") == b"words"
    with storage.on_disk(f"{place}/folder") as folder:
        assert storage.names(folder) == ["words.gz"]
    if "://" in place:
        assert not Path(path).exists() and not Path(folder).exists()
    assert storage.names(f"{place}/folder") == ["words.gz"]


def test_what_is_filled_is_there_when_it_is_whole(place: str) -> None:
    with pytest.raises(ZeroDivisionError), storage.filling(f"{place}/half") as folder:
        Path(folder, "file").write_text(str(1 / 0))
    assert storage.files_below(f"{place}/half") == []
    with storage.filling(f"{place}/whole") as folder:
        Path(folder, "inner").mkdir()
        Path(folder, "inner/file").write_text("content")
    assert storage.files_below(f"{place}/whole") == ["inner/file"]


def test_shards_are_kept_found_and_dropped_where_they_are_damaged(place: str) -> None:
    store = ShardCache(f"{place}/store")
    with pytest.raises(ZeroDivisionError), store.making("key") as folder:
        Path(folder, "rows").write_text(str(1 / 0))
    assert store.find("key") is None
    with store.making("key") as folder:
        Path(folder, "inner").mkdir()
        Path(folder, "inner/rows").write_text("rows")
    found = store.find("key")
    assert found and storage.files_below(found) == ["inner/rows"] and store.find("key", thoroughly=True) == found
    with store.making("key") as folder:  # as of another worker, which comes second
        Path(folder, "rows").write_text("other")
    assert store.find("key") == found
    store.sweep(idle_for=timedelta(0))
    assert [len(storage.names(f"{place}/store/key"))] == [2]
    storage.write_bytes(f"{found}/inner/rows", b"row!")
    assert list(store.drop_damaged()) == [f"{place}/store/key"]
    assert store.find("key") is None


_LOOK = "from hubline.core import storage; {call}"


@pytest.mark.slow
@pytest.mark.parametrize("call", ["exists('s3://b/x')", "glob('s3://b/*')", "write_bytes('s3://b/x', b'')"])
def test_missing_credentials_are_named(s3_address: str, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)
    code = _LOOK.format(call=f"storage.{call}")
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr
    last = told.strip().splitlines()[-1]
    assert "AccessError: s3://b/" in last and "set AWS_ACCESS_KEY_ID" in last, told


def test_urls_that_cannot_be_used_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "MINIO_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"no server is configured; set AWS_ENDPOINT_URL_S3, .* or MINIO_ENDPOINT"):
        storage.exists("minio://bucket/x")
    monkeypatch.setenv("MINIO_ENDPOINT", "host:9000")
    with pytest.raises(
        UserError, match=r"minio://bucket/x: MINIO_ENDPOINT=host:9000 is no address; set .* such as http://"
    ):
        storage.exists("minio://bucket/x")
    with pytest.raises(UserError, match="stroe://bucket/x: stroe:// is not supported here"):
        storage.exists("stroe://bucket/x")
    with pytest.raises(UserError, match="https://host/x: neither a folder nor a bucket"):
        storage.names("https://host/x")
