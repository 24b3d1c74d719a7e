"""Configuration and fixtures for all tests."""

import os
import signal
import sys

# Set before TensorFlow is imported: Keras 2, as the package itself requires, and no start-up messages.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support import stores

# A commit that has passed passes again. `--hypothesis-profile=default` draws anew.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")


def pytest_configure() -> None:
    """Restores SIGINT: shells make background jobs ignore it, and a signal ignored at start stays ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs every unit test on both stacks."""
    for item in items:
        if "unit" in item.path.parts:
            item.add_marker("both_stacks")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Resets what outlives a test and would make the next one depend on it: TensorFlow's global seed, and s3fs' file
    systems, which keep the credentials that the environment had when they were made."""
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(0)
    if "s3fs" in sys.modules:
        sys.modules["s3fs"].S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets, if present."""
    path = Path(os.environ.get("HUBLINE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real data sets at {path}; HUBLINE_DATA names their folder")
    return path


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The address of an S3 server."""
    with stores.s3_server() as address:
        yield address


@pytest.fixture(scope="session")
def gcs_address() -> Iterator[str]:
    """The address of a GCS server."""
    with stores.gcs_server() as address:
        yield address


@pytest.fixture
def s3(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new bucket; the environment has the credentials."""
    return stores.s3_bucket(monkeypatch, s3_address)


@pytest.fixture(params=["disk", "memory", "s3", "minio", "gs"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty folder: on a disk, or in a store of each kind."""
    if request.param == "disk":
        return str(tmp_path / "place")
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    if request.param == "gs":
        return stores.gcs_bucket(monkeypatch, request.getfixturevalue("gcs_address"))
    return stores.s3_bucket(monkeypatch, request.getfixturevalue("s3_address"), request.param)
