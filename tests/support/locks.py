"""The lock files in `requirements/`."""

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.project import PROJECT


def locked(name: str, python: str) -> dict[str, str]:
    """The version of each package of a lock, for a Python on Linux."""
    lines = (PROJECT / "requirements" / name).read_text().replace("\\\n", " ").splitlines()
    pinned = [Requirement(line.partition("--hash")[0]) for line in lines if line and line[0] not in "# "]
    there = {"python_version": python, "python_full_version": f"{python}.1"}
    return {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in pinned
        if each.marker is None or each.marker.evaluate(there)
    }
