"""An object store that throttles, falls silent or cuts connections: what is asked of it is done once it recovers, and
done once."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.core.shard_cache import ShardCache
from hubline.core.storage import credentials
from hubline.serving.push import push
from hubline.serving.versions import versions
from tests.support import store_requests, stores
from tests.support.faulty_store import Misbehaviour, Trouble, proxied
from tests.support.store_requests import CONTENT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture(scope="module")
def address(s3_address: str, trouble: Trouble) -> Iterator[str]:
    with proxied(s3_address, trouble) as found:
        yield found


@pytest.fixture
def bucket(address: str, trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(credentials, "READ_SECONDS", 1.0)
    yield stores.s3_bucket(monkeypatch, address)
    trouble.end()


@pytest.mark.parametrize(
    ("kind", "do"),
    [
        ("slow_down", store_requests.listing),
        ("cut", store_requests.read),
        ("cut", store_requests.download),
        ("lost", store_requests.write_new),
        ("lost", store_requests.upload_new),
        ("silent", store_requests.read_in_parts),
    ],
)
def test_what_is_asked_of_a_store_that_recovers_is_done_once(
    bucket: str, trouble: Trouble, tmp_path: Path, kind: Misbehaviour, do: Callable[[str, Path], None]
) -> None:
    storage.write_bytes(f"{bucket}/there/file", CONTENT)
    trouble.begin(kind)
    do(bucket, tmp_path)
    assert trouble.met


def test_a_download_that_is_cut_again_and_again_names_its_file_and_leaves_nothing(
    bucket: str, trouble: Trouble, tmp_path: Path
) -> None:
    storage.write_bytes(f"{bucket}/there/file", CONTENT)
    trouble.begin("cut", times=10**6)
    with pytest.raises(UserError, match=rf"^{bucket}/there/file: the store cannot be reached") as caught:
        store_requests.download(bucket, tmp_path)
    assert storage.is_transient(caught.value)
    assert not list(tmp_path.iterdir())
    trouble.end()
    store_requests.download(bucket, tmp_path)


def test_a_push_whose_answers_are_lost_is_made_once_and_whole(bucket: str, trouble: Trouble, tmp_path: Path) -> None:
    for name in ("saved_model.pb", "variables/variables.index"):
        storage.write_bytes(str(tmp_path / "model" / name), name.encode())
    trouble.begin("lost", methods=("PUT",))
    assert push(str(tmp_path / "model"), f"{bucket}/serving") == f"{bucket}/serving/1"
    assert any(request.endswith("/serving/1/saved_model.pb") for request in trouble.met)
    trouble.end()
    assert storage.files_below(f"{bucket}/serving/1") == ["saved_model.pb", "variables/variables.index"]
    assert versions(f"{bucket}/serving") == ["1"]


def test_an_entry_of_the_cache_whose_mark_was_written_unanswered_stays(bucket: str, trouble: Trouble) -> None:
    cache = ShardCache(f"{bucket}/store")
    trouble.begin("lost", methods=("PUT",))
    with cache.making("key") as folder:
        Path(folder, "rows").write_bytes(CONTENT)
    assert any(request.endswith("/key/complete") for request in trouble.met)
    found = cache.find("key")
    assert found and storage.read_bytes(f"{found}/rows") == CONTENT
