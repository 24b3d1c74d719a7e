"""The command that installs a package alongside this one."""

import shlex
import sys

import pytest

from hubline.core import package_versions


@pytest.mark.parametrize(("has_pip", "begins"), [(True, "-m pip install"), (False, ".uv/bin/uv pip install --python")])
def test_the_command_installs_into_this_environment(
    monkeypatch: pytest.MonkeyPatch, has_pip: bool, begins: str
) -> None:
    monkeypatch.setattr(package_versions, "find_spec", lambda name: object() if has_pip else None)
    words = shlex.split(package_versions.install_command("av>=14"))
    assert words[-1] == "av>=14" and sys.executable in words and begins in " ".join(words)
