"""Lists of data files are read back as they were kept, under a digest that depends on nothing but the list."""

import os
import re
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubline.artifacts import file_list
from hubline.artifacts.pins import PinnedFile, PinnedFiles
from hubline.core import storage
from hubline.core.errors import RunError

_NUMBERS = st.integers(0, 2**62)
_FILES = st.lists(
    st.builds(
        PinnedFile,
        path=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
        size=_NUMBERS,
        modified=_NUMBERS,
        version=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
        span=st.none() | st.integers(0, 10**6),
    ),
    max_size=4,
).map(tuple)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["all", "train", "test"]), _FILES))
def test_a_list_is_read_back_wherever_it_was_kept(by_split: dict) -> None:
    files = PinnedFiles(by_split=by_split)
    here, there = (file_list.keep(files, f"memory://{place}/pins") for place in ("here", "there"))
    assert here == there == file_list.digest_of(files)
    assert file_list.read(here, "memory://here/pins") == file_list.read(here, "memory://there/pins") == files


@pytest.mark.slow
@given(_FILES, _FILES)
def test_other_files_have_another_digest(one: tuple, other: tuple) -> None:
    digests = [file_list.digest_of(PinnedFiles(by_split={"all": files})) for files in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)
    assert re.fullmatch("[0-9a-f]{64}", digests[0])


def test_a_list_that_is_missing_or_damaged_is_named_and_a_cut_one_is_written_again(tmp_path: Path) -> None:
    folder, files = str(tmp_path / "pins"), PinnedFiles(by_split={"all": (PinnedFile(path="a", size=1, modified=2),)})
    digest = file_list.digest_of(files)
    path = tmp_path / "pins" / f"{digest}.json"
    with pytest.raises(RunError, match=f"{path}: the list of the data files is missing; run again"):
        file_list.read(digest, folder)
    file_list.keep(files, folder)
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"b"'))
    with pytest.raises(RunError, match=f"{path}: the list of the data files is damaged; remove this file and run"):
        file_list.read(digest, folder)
    path.write_bytes(b"")
    assert file_list.read(file_list.keep(files, folder), folder) == files
    assert storage.names(folder) == [path.name]


def test_lists_that_no_run_has_referred_to_for_days_are_swept(tmp_path: Path) -> None:
    folder = str(tmp_path / "pins")
    lists = [PinnedFiles(by_split={"all": (PinnedFile(path=name, size=1, modified=2),)}) for name in "abcde"]
    old, used, young, again, newest = (file_list.keep(each, folder) for each in lists)
    for digest in (old, used, again):
        eight_days_ago = time.time() - 8 * 24 * 3600
        os.utime(tmp_path / "pins" / f"{digest}.json", (eight_days_ago, eight_days_ago))
    assert file_list.keep(lists[3], folder) == again, "another run refers to it now"
    file_list.sweep(folder, newest, used=lambda: {used})
    assert {name.removesuffix(".json") for name in storage.names(folder)} == {used, young, again, newest}
    assert file_list.read(used, folder) == lists[1]


def test_lists_in_a_store_are_swept_by_the_stores_clock() -> None:
    folder = "memory://swept/pins"
    old, newest = (
        file_list.keep(PinnedFiles(by_split={"all": (PinnedFile(path=name, size=1, modified=2),)}), folder)
        for name in "ab"
    )
    file_list.sweep(folder, newest)
    assert len(storage.names(folder)) == 2
    file_list.sweep(folder, newest, idle_for=timedelta(days=-1))  # as if the newest were written a day later
    assert storage.names(folder) == [f"{newest}.json"] and old != newest
