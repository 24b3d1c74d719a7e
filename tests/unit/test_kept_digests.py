"""What is read in source files is kept between processes, and never decides anything by itself."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubline.core import code_digest as code_digests
from hubline.core.code_digest import code_digest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the cache, at first absent, and a package `probe` of one module."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code_digests, "PACKAGE", "probe")
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "__init__.py").write_text("")
    (tmp_path / "probe" / "step.py").write_text("import probe.other\nx = 1\n")
    (tmp_path / "probe" / "other.py").write_text("y = 1\n")
    code_digests.forget()
    yield tmp_path / "cache" / "hubline"
    code_digests.forget()


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The syntax trees that are read; as if each digest were taken by a new process."""
    found: list[object] = []

    def counted(take: Callable) -> Callable:
        return lambda tree: found.append(tree) or take(tree)

    monkeypatch.setattr(code_digests, "bytecode_digest", counted(code_digests.bytecode_digest))
    return found


def again() -> str:
    code_digests.forget()
    return code_digest("probe.step")


def test_a_second_process_reads_nothing_and_takes_the_same_digest(cache: Path, read: list[object]) -> None:
    first = again()
    assert len(read) == 3
    assert again() == first and len(read) == 3


def test_a_changed_file_is_read_and_changes_the_digest_and_back(cache: Path, read: list[object]) -> None:
    other = cache.parents[1] / "probe" / "other.py"
    first = again()
    other.write_text("y = 2\n")
    assert again() != first and len(read) == 4
    other.write_text("y = 1\n")
    assert again() == first and len(read) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', None])
def test_a_damaged_file_is_read_again_and_replaced(cache: Path, read: list[object], content: str | None) -> None:
    first = again()
    (path,) = cache.iterdir()
    values = json.loads(path.read_text())
    path.write_text(json.dumps(dict.fromkeys(values, 7)) if content is None else content)
    assert again() == first and len(read) == 6
    assert json.loads(path.read_text()).items() >= values.items()


def test_where_nothing_can_be_written_nothing_is_kept(cache: Path, read: list[object]) -> None:
    cache.parent.write_text("a file in place of the folder")
    first = again()
    assert again() == first and len(read) == 6
