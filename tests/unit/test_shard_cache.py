"""Cache entries, keyed by content, are complete or missing."""

import logging
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from time import time

import pytest

from hubline.core import storage
from hubline.core.shard_cache import ABANDONED_AFTER, ShardCache, key


@pytest.fixture(params=["local", "remote"])
def store(request, tmp_path: Path) -> ShardCache:
    return ShardCache(str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}")


def test_an_entry_is_found_by_its_key_once_it_is_made(store: ShardCache) -> None:
    assert store.find("one") is None
    with store.making("one") as folder:
        storage.write_bytes(f"{folder}/file", b"content")
        assert store.find("one") is None
    found = store.find("one")
    assert found is not None
    with storage.open_binary(f"{found}/file") as file:
        assert file.read() == b"content"
    assert store.find("two") is None


def test_an_entry_whose_making_was_cut_short_is_not_there_and_can_be_made(store: ShardCache) -> None:
    with pytest.raises(KeyboardInterrupt):
        with store.making("one") as folder:
            storage.write_bytes(f"{folder}/file", b"half")
            raise KeyboardInterrupt
    assert store.find("one") is None
    with store.making("one") as folder:
        storage.write_bytes(f"{folder}/file", b"whole")
    with storage.open_binary(f"{store.find('one')}/file") as file:
        assert file.read() == b"whole"


def test_of_two_that_make_the_same_at_once_the_first_that_is_done_stays(store: ShardCache) -> None:
    with store.making("one") as slow:
        storage.write_bytes(f"{slow}/file", b"second")
        with store.making("one") as quick:
            storage.write_bytes(f"{quick}/file", b"first")
        found = store.find("one")
    assert found is not None and found == store.find("one")
    assert not storage.exists(slow)
    with storage.open_binary(f"{found}/file") as file:
        assert file.read() == b"first"


_MAKE_MANY = """
import sys
from pathlib import Path
from hubline.core.shard_cache import ShardCache

store = ShardCache(sys.argv[1])
for number in range(30):
    key = f"entry-{number}"
    if store.find(key) is None:
        with store.making(key) as folder:
            for name in "abc":
                Path(folder, name).write_text(f"{number} {name}")
    found = store.find(key)
    assert found, key
    assert [Path(found, name).read_text() for name in "abc"] == [f"{number} {name}" for name in "abc"], key
"""


@pytest.mark.slow
def test_many_processes_make_the_same_entries_at_once(tmp_path: Path) -> None:
    made = [subprocess.Popen([sys.executable, "-c", _MAKE_MANY, str(tmp_path)]) for _ in range(8)]
    assert [process.wait() for process in made] == [0] * 8
    for number in range(30):
        names = [path.name for path in (tmp_path / f"entry-{number}").iterdir()]
        assert "complete" in names and len(names) == 2


@pytest.mark.parametrize("name", ["file", "complete"])
@pytest.mark.parametrize("how", ["emptied", "cut", "flipped", "removed"])
def test_a_damaged_entry_is_dropped_with_a_line_in_the_log_and_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, how: str
) -> None:
    store = ShardCache(str(tmp_path))
    with store.making("one") as folder:
        storage.write_bytes(f"{folder}/file", b"content")
    path = Path(folder, "file") if name == "file" else tmp_path / "one/complete"
    content = path.read_bytes()
    if how == "removed":
        path.unlink()
    else:
        changed = {"emptied": b"", "cut": content[:-1], "flipped": bytes([content[0] ^ 1]) + content[1:]}[how]
        path.write_bytes(changed)
    with caplog.at_level(logging.WARNING):
        assert store.find("one") is None
    if (name, how) != ("complete", "removed"):
        assert f"{path}: " in caplog.text and "dropped and made again" in caplog.text
    with store.making("one") as folder:
        storage.write_bytes(f"{folder}/file", b"content")
    assert store.find("one") == folder


def test_a_file_with_another_time_is_read_and_one_with_the_same_time_only_thoroughly(tmp_path: Path) -> None:
    store = ShardCache(str(tmp_path))
    with store.making("one") as folder:
        storage.write_bytes(f"{folder}/file", b"content")
    file = Path(folder, "file")
    before = file.stat()
    os.utime(file, ns=(0, 0))
    assert store.find("one") == folder
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.find("one") == folder
    assert store.find("one", thoroughly=True) is None


_DIE = """
import os, signal, sys
from pathlib import Path
from hubline.core.shard_cache import ShardCache

with ShardCache(sys.argv[1]).making(sys.argv[2]) as folder:
    Path(folder, "file").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
NOBODY = timedelta(0)
"""How long an attempt must be idle where nobody can be making an entry."""


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name != ".making")


def make(store: ShardCache, key: str) -> str:
    with store.making(key) as folder:
        storage.write_bytes(f"{folder}/file", b"content")
    found = store.find(key)
    assert found
    return found


@pytest.mark.slow
def test_what_killed_processes_left_is_swept_and_entries_stay(tmp_path: Path) -> None:
    store = ShardCache(str(tmp_path))
    made = make(store, "one")
    whole = below(tmp_path)
    for entry in ("one", "two"):
        killed = subprocess.run([sys.executable, "-c", _DIE, str(tmp_path), entry], check=False)
        assert killed.returncode == -signal.SIGKILL
    (tmp_path / "two" / f".mark{storage.UNFINISHED}").touch()
    left = below(tmp_path)
    assert len(left) == len(whole) + 8
    store.sweep()  # others may be at work
    assert below(tmp_path) == left
    store.sweep(NOBODY)
    assert below(tmp_path) == whole and store.find("one") == made
    store.sweep(NOBODY)
    assert below(tmp_path) == whole


def test_what_was_left_before_the_clock_was_set_back_is_swept_where_nobody_else_works(tmp_path: Path) -> None:
    store, later = ShardCache(str(tmp_path)), (time() + 86400,) * 2
    storage.write_bytes(str(tmp_path / "one/killed/file"), b"half")
    storage.touch(str(tmp_path / ".making/one.killed"))
    for path in (tmp_path / "one/killed/file", tmp_path / ".making/one.killed"):
        os.utime(path, later)
    store.sweep()
    assert (tmp_path / "one/killed/file").exists()
    store.sweep(NOBODY)
    assert below(tmp_path) == []


def test_in_a_shared_store_only_what_has_been_idle_for_days_is_swept(store: ShardCache) -> None:
    made = make(store, "one")
    place = made.rpartition("/one/")[0]
    for entry in ("one", "two"):  # as of processes that were killed while they uploaded
        storage.write_bytes(f"{place}/{entry}/killed/file", b"half")
        storage.touch(f"{place}/.making/{entry}.killed")
    store.sweep()
    assert storage.exists(f"{place}/one/killed/file") and storage.exists(f"{place}/two/killed/file")
    store.sweep(NOBODY)
    assert storage.names(f"{place}/.making") == [] and storage.names(f"{place}/two") == []
    assert store.find("one", thoroughly=True) == made and len(storage.names(f"{place}/one")) == 2


def test_an_attempt_that_still_writes_is_alive_and_one_that_was_swept_fails(tmp_path: Path) -> None:
    store, long_ago = ShardCache(str(tmp_path)), (time() - ABANDONED_AFTER.total_seconds() - 60,) * 2
    with store.making("one") as folder:
        for name in ("written", "now"):
            storage.write_bytes(f"{folder}/{name}", b"rows")
        os.utime(f"{folder}/written", long_ago)
        os.utime(tmp_path / ".making" / f"one.{Path(folder).name}", long_ago)
        store.sweep()
    assert store.find("one") == folder
    with pytest.raises(FileNotFoundError, match="idle for days"):
        with store.making("two") as folder:
            storage.write_bytes(f"{folder}/rows", b"rows")
            os.utime(f"{folder}/rows", long_ago)
            os.utime(tmp_path / ".making" / f"two.{Path(folder).name}", long_ago)
            store.sweep()
            storage.write_bytes(f"{folder}/more", b"rows")
    assert store.find("two") is None and storage.names(f"{tmp_path}/.making") == []


def test_sweeping_takes_as_long_as_what_is_left_and_not_as_the_entries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, asked = ShardCache(str(tmp_path)), []
    for number in range(20):
        make(store, str(number))
    for name in ("read_bytes", "stats_below", "names", "remove_tree", "stat", "exists"):
        real = getattr(storage, name)
        monkeypatch.setattr(storage, name, lambda path, real=real, name=name: asked.append((name, path)) or real(path))
    store.sweep(NOBODY)
    assert [name for name, _ in asked] == ["stats_below"]


def test_a_key_depends_on_every_part_and_not_on_the_order_of_names() -> None:
    assert key("a", {"x": 1, "y": 2}) == key("a", {"y": 2, "x": 1})
    assert len({key("a", 1), key("a", 2), key("b", 1), key("a", "1"), key("a", [1])}) == 5
