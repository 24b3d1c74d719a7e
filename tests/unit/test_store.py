"""What is kept by its content: there whole or not at all."""

from pathlib import Path

import pytest

from components import storage
from components.store import Store, key


@pytest.fixture(params=["local", "remote"])
def store(request, tmp_path: Path) -> Store:
    return Store(str(tmp_path) if request.param == "local" else f"ram://{tmp_path.name}")


def test_an_entry_is_found_by_its_key_once_it_is_made(store: Store) -> None:
    assert store.find("one") is None
    with store.making("one") as folder:
        storage.write_bytes(f"{folder}/file", b"content")
        assert store.find("one") is None
    found = store.find("one")
    assert found is not None
    with storage.open_binary(f"{found}/file") as file:
        assert file.read() == b"content"
    assert store.find("two") is None


def test_an_entry_whose_making_was_cut_short_is_not_there_and_can_be_made(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        with store.making("one") as folder:
            storage.write_bytes(f"{folder}/file", b"half")
            raise KeyboardInterrupt
    assert store.find("one") is None
    with store.making("one") as folder:
        storage.write_bytes(f"{folder}/file", b"whole")
    with storage.open_binary(f"{store.find('one')}/file") as file:
        assert file.read() == b"whole"


def test_two_that_make_the_same_at_once_leave_one(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with store.making("one") as first:
        storage.write_bytes(f"{first}/file", b"same")
        with store.making("one") as second:
            storage.write_bytes(f"{second}/file", b"same")
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_key_depends_on_every_part_and_not_on_the_order_of_names() -> None:
    assert key("a", {"x": 1, "y": 2}) == key("a", {"y": 2, "x": 1})
    assert len({key("a", 1), key("a", 2), key("b", 1), key("a", "1"), key("a", [1])}) == 5
