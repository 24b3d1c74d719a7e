"""Every kind of request to an object store meets every misbehaviour; ten minutes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.core.storage import credentials
from tests.support import store_requests, stores
from tests.support.faulty_store import Misbehaviour, Trouble, proxied


@pytest.fixture(scope="module")
def trouble() -> Trouble:
    return Trouble()


@pytest.fixture
def bucket(s3_address: str, trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(credentials, "READ_SECONDS", 1.0)
    with proxied(s3_address, trouble) as address:
        yield stores.s3_bucket(monkeypatch, address)
        trouble.end()


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("kind", ["slow_down", "cut", "lost", "silent"])
@pytest.mark.parametrize("do", store_requests.REQUESTS)
def test_every_request_survives_every_misbehaviour(
    bucket: str, trouble: Trouble, tmp_path: Path, times: int, kind: Misbehaviour, do: Callable[[str, Path], None]
) -> None:
    storage.write_bytes(f"{bucket}/there/file", store_requests.CONTENT)
    trouble.begin(kind, times=times)
    do(bucket, tmp_path)
    assert trouble.met


def test_a_store_that_stays_busy_is_named(bucket: str, trouble: Trouble, tmp_path: Path) -> None:
    storage.write_bytes(f"{bucket}/there/file", store_requests.CONTENT)
    trouble.begin("slow_down", times=10**6)
    for do in (store_requests.read, store_requests.download):
        with pytest.raises(UserError, match=rf"^{bucket}/there/file: the store is too busy, or fails: ") as caught:
            do(bucket, tmp_path)
        assert storage.is_transient(caught.value)
    assert not list(tmp_path.iterdir())
