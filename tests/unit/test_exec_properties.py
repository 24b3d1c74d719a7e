"""Passing a step's execution properties on a cluster."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.exec_properties import handed, taken

NONE_TO_SAY = "/nowhere"
LONG = {"files": "x" * 200_000, "seed": 3}


@pytest.mark.slow
@given(st.dictionaries(st.text(max_size=4), st.text("ab{$(}", max_size=9) | st.integers(), max_size=2))
def test_short_ones_are_the_parameter_itself(properties: dict[str, str | int]) -> None:
    assert taken(handed(properties, NONE_TO_SAY)) == properties


@pytest.mark.parametrize("text", ["{{workflow.name}}", "{{{", "$(HOME)", "$$", "a$"])
def test_neither_argo_nor_kubernetes_finds_anything_to_fill_in(text: str) -> None:
    crossed = handed({"pattern": text}, NONE_TO_SAY)
    assert "{{" not in crossed and "$" not in crossed and taken(crossed) == {"pattern": text}


def test_long_ones_go_by_way_of_a_file_and_fit_into_a_command(tmp_path: Path) -> None:
    text = handed(LONG, str(tmp_path))
    assert len(text) < 1000 and taken(text) == LONG
    assert handed(dict(reversed(LONG.items())), str(tmp_path)) == text, "the backend's cache knows them again"
    assert handed(LONG | {"seed": 4}, str(tmp_path)) != text


def test_what_is_not_said_is_not_handed_over() -> None:
    assert handed({"a": None, "b": 1}, NONE_TO_SAY) == '{"b":1}'


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    text = handed(LONG, str(tmp_path))
    (file,) = (tmp_path / "properties").iterdir()
    file.unlink()
    with pytest.raises(RunError, match=f"{file.name}: the file with this step.s properties is missing"):
        taken(text)
