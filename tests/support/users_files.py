"""Checks that full runs don't change a user's data files."""

from collections.abc import Iterator

import pytest

from hubline.components.pin.find import find
from hubline.core.digest import file_digest
from hubline.core.errors import UserError
from hubline.pipeline import run as running


def _digests(data) -> dict[str, str]:
    try:
        found = find(data.patterns, data.window)
    except UserError:
        return {}
    return {path: file_digest(path) for files in found.values() for path in files}


@pytest.fixture(scope="session", autouse=True)
def the_users_files_stay_as_they_are() -> Iterator[None]:
    """Compares digests of the data files before and after all full runs of the suite."""
    run = running.execute

    def watched(file, *rest):
        before = _digests(file.data)
        result = run(file, *rest)
        assert _digests(file.data) == before, "the run changed the user's data files"
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "execute", watched)
        yield
