"""Data of many files: pinning takes a request per thousand objects, and none per object."""

import resource
from collections.abc import Callable

import pytest

from benchmarks.listed_bucket import BUCKET, KEYS, SIZE, ListedBucket, serving
from hubline.components.config.data import Data
from hubline.components.config.splits import PatternSplit
from hubline.components.pin.find import find
from hubline.components.pin.snapshot import pin_files
from hubline.core import storage
from hubline.core.shard_cache import ShardCache

COUNT = 3_000
PAGES = COUNT // 1000


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Callable[[list[str]], ListedBucket]:
    """Serves a bucket with some keys, and sets the environment for it."""

    def serve(keys: list[str]) -> ListedBucket:
        bucket = ListedBucket(keys)
        server = serving(bucket)
        address = server.__enter__()
        request.addfinalizer(lambda: server.__exit__(None, None, None))
        for name, value in (KEYS | {"AWS_ENDPOINT_URL": address}).items():
            monkeypatch.setenv(name, value)
        return bucket

    return serve


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["data", "data/*.tfrecord", "data/part-*", "data/**"])
def test_files_in_one_folder_are_pinned_by_their_listing(pattern: str, served) -> None:
    keys = [f"data/part-{number:06d}.tfrecord" for number in range(COUNT)] + ["data/_SUCCESS", "data/.part-7"]
    bucket = served(keys)
    pinned = pin_files(Data(examples=f"s3://{BUCKET}/{pattern}")).by_split["all"]
    assert [file.path for file in pinned] == [f"s3://{BUCKET}/{key}" for key in keys[:COUNT]]
    assert {file.size for file in pinned} == {SIZE}
    assert len(bucket.requests) <= PAGES + 20
    # What the listing says of a file is what the file itself says to ingestion, which refuses changed files.
    for file in (pinned[0], pinned[-1]):
        assert storage.stat(file.path) == storage.Stat(file.size, file.modified, file.version)
    assert len({file.version for file in pinned}) == COUNT


@pytest.mark.slow
def test_spans_take_requests_per_folder_and_page(served) -> None:
    spans = 6
    keys = [
        f"data/{number % spans}/{split}-{number:06d}"
        for number in range(COUNT)
        for split in ("train", "val", "test")
        if split == "train" or number < spans
    ]
    bucket = served(keys)
    split = PatternSplit(train="{SPAN}/train-*", validation="{SPAN}/val-*", test="{SPAN}/test-*")
    pinned = pin_files(Data(examples=f"s3://{BUCKET}/data", split=split, window=3))
    assert pinned.spans == (3, 4, 5)
    assert {name: len(files) for name, files in pinned.by_split.items()} == {
        "train": 3 * COUNT // spans,
        "validation": 3,
        "test": 3,
    }
    assert len(bucket.requests) <= 3 * (spans + PAGES + 5)  # each split is a pattern of its own
    bucket.requests.clear()
    assert len(find({"all": f"s3://{BUCKET}/data/{{SPAN}}"}, window=1)["all"]) == COUNT // spans + 2
    assert len(bucket.requests) <= 20, "folders outside of the window aren't listed"


@pytest.mark.slow
def test_memory_for_a_file_is_small_enough_for_a_hundred_thousand(served) -> None:
    served([f"data/part-{number:06d}.tfrecord" for number in range(COUNT)])
    pin_files(Data(examples=f"s3://{BUCKET}/data/part-00000*"))  # imports the client
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pinned = pin_files(Data(examples=f"s3://{BUCKET}/data"))
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert len(pinned.by_split["all"]) == COUNT
    assert added * (100_000 / COUNT) < 1 << 30


@pytest.mark.slow
def test_an_entry_of_the_shard_cache_is_found_by_two_requests_however_many_files_it_has(served) -> None:
    bucket, cache = served([]), ShardCache(f"s3://{BUCKET}/store")
    for count in (1, 20):
        with cache.making(f"{count}") as folder:
            for number in range(count):
                storage.write_bytes(f"{folder}/{number}", b"rows")
        bucket.requests.clear()
        assert cache.find(f"{count}") and len(bucket.requests) == 2
    bucket.requests.clear()
    assert cache.find("none") is None and len(bucket.requests) == 1
