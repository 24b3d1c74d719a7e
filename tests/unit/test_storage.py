"""Files are there whole or not at all, and nothing is written through a second name of a file."""

import errno
import os
import re
from pathlib import Path

import pytest

from hubline.core import storage


@pytest.fixture
def content(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"ours")
    return file


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_file_is_copied_where_it_can_have_no_second_name(
    content: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    storage.link(str(content), str(tmp_path / "folder/second"))
    assert (tmp_path / "folder/second").read_bytes() == b"ours"
    assert (tmp_path / "folder/second").stat().st_ino != content.stat().st_ino


def test_any_other_failure_of_a_link_is_raised_and_leaves_nothing(content: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.link(str(tmp_path / "missing"), str(tmp_path / "second"))
    assert _names(tmp_path) == ["file"]


@pytest.mark.parametrize("put", [storage.link, storage.copy])
def test_a_name_that_is_taken_is_replaced_and_its_other_names_keep_their_content(
    content: Path, tmp_path: Path, put
) -> None:
    users = tmp_path / "users"
    users.write_bytes(b"the user's")
    os.link(users, tmp_path / "target")
    put(str(content), str(tmp_path / "target"))
    assert (tmp_path / "target").read_bytes() == b"ours"
    assert users.read_bytes() == b"the user's"
    put(str(content), str(tmp_path / "target"))  # once more, by now perhaps onto itself
    assert _names(tmp_path) == ["file", "target", "users"]


def test_writing_replaces_a_second_name_and_does_not_write_through_it(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_bytes(b"the user's")
    os.link(users, tmp_path / "target")
    storage.write_text(str(tmp_path / "target"), "ours: ä")
    assert users.read_bytes() == b"the user's"
    assert (tmp_path / "target").read_text(encoding="utf-8") == "ours: ä"


def test_a_copy_is_a_file_of_its_own(content: Path, tmp_path: Path) -> None:
    storage.copy(str(content), str(tmp_path / "copy"))
    content.write_bytes(b"later")
    assert (tmp_path / "copy").read_bytes() == b"ours"


@pytest.mark.parametrize("remote", [False, True])
def test_a_file_whose_writing_fails_is_as_it_was(tmp_path: Path, remote: bool) -> None:
    folder = f"memory://{tmp_path.name}" if remote else str(tmp_path)
    storage.write_bytes(f"{folder}/report", b"earlier")
    with pytest.raises(OSError, match="No space left"):
        with storage.atomically(f"{folder}/report") as unfinished:
            storage.write_bytes(unfinished, b"ha")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert storage.names(folder) == ["report"]
    with storage.open_binary(f"{folder}/report") as file:
        assert file.read() == b"earlier"
    with storage.atomically(f"{folder}/report") as unfinished:
        storage.write_bytes(unfinished, b"later")
    with storage.open_binary(f"{folder}/report") as file:
        assert file.read() == b"later"
    assert storage.names(folder) == ["report"]


def test_a_new_file_is_written_once(tmp_path: Path) -> None:
    path = str(tmp_path / "mark")
    assert storage.write_new(path, b"first")
    assert not storage.write_new(path, b"second")
    assert Path(path).read_bytes() == b"first"
    assert _names(tmp_path) == ["mark"]


def test_a_new_file_is_written_once_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "no links")

    monkeypatch.setattr(os, "link", refuse)
    test_a_new_file_is_written_once(tmp_path)


_ROOT = Path(storage.__file__).parents[2]
_RAW = re.compile(
    r"""(?<!storage)(?<!_of\(path\))\.write_(text|bytes)\(|(open|GFile)\(.*["'][wax][bt+]*["']|io_utils\.write_"""
)
_ASIDE = {
    "core/storage/local.py": "writes aside and renames",
    "core/usage.py": "to the kernel, which has no files there",
    "components/example_gen/small_files.py": "into a temporary folder",
    "components/hub_module/web.py": "into a temporary folder",
    "components/predictor/batch_predict.py": "line by line, into a folder that gets its name when it is whole",
    "pipeline/output.py": "a log, which grows",
    "pipeline/paths.py": "the lock of a run",
    "trainer/adapters/tensorflow_library.py": "to nowhere",
}


def test_whatever_the_product_writes_goes_through_storage() -> None:
    raw = {
        str(path.relative_to(_ROOT)): path.read_text()[found.start() :].partition("\n")[0]
        for package in ("artifacts", "components", "core", "pipeline", "preprocessing", "report", "trainer")
        for path in sorted((_ROOT / package).rglob("*.py"))
        for found in _RAW.finditer(path.read_text())
    }
    assert {path: line for path, line in raw.items() if path not in _ASIDE} == {}
    assert set(_ASIDE) <= set(raw)  # and none is let through that writes nothing any more
