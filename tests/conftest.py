"""Configuration and fixtures for all tests."""

import os
import signal
import sys

# Set before TensorFlow is imported: Keras 2, as the package itself requires, and no start-up messages.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import pytest


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
    """Resets TensorFlow's global seed, so that no test draws other numbers because of the tests that ran before it."""
    if "tensorflow" in sys.modules:
        sys.modules["tensorflow"].random.set_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data sets, if present."""
    path = Path(os.environ.get("HUBLINE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real data sets at {path}; HUBLINE_DATA names their folder")
    return path
