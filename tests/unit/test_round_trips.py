"""Each section of the pipeline file after a round trip through an execution property."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubline.artifacts.pins import Pins, PinsToInfer
from hubline.core.config_base import Section
from hubline.pipeline.config import FILES
from hubline.pipeline.kubeflow.parameter_definitions import dumped
from hubline.pipeline.load import load
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.kept import Kept
from tests.support.sections import section_types, sections, written_sections

OF_STEPS = (Pins, PinsToInfer, Kept, VariableSelection)
"""Execution properties that are not sections of the file."""
# Complete files have too many rules to be generated; the examples' files are used instead.
TYPES = sorted(
    set().union(*map(section_types, (*FILES.values(), *OF_STEPS))) - {*FILES.values()},
    key=lambda each: (each.__module__, each.__name__),
)


@pytest.mark.parametrize("section_type", TYPES, ids=lambda each: each.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data())
def test_a_step_reads_the_section_that_the_file_holds(section_type: type[Section], data: st.DataObject) -> None:
    section = data.draw(sections(section_type))
    text = section.to_property()
    read = section_type.model_validate_json(text)
    assert read == section
    assert read.to_property() == text


@pytest.mark.slow
@pytest.mark.parametrize("section_type", TYPES, ids=lambda each: each.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data())
def test_a_section_keeps_which_keys_were_written(section_type: type[Section], data: st.DataObject) -> None:
    """Run parameters change what was written: with a key that a validator added, an override would have errors that
    the changed file doesn't have."""
    written, section = data.draw(written_sections(section_type))
    kept = section.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert list(changed_keys(written, kept)) == []
    assert section_type.model_validate(kept) == section


def changed_keys(written: Any, kept: Any, place: str = "") -> Iterator[str]:
    """Keys of mappings that were added, and keys with a value that were lost."""
    if isinstance(written, dict) and isinstance(kept, dict):
        said = {key for key, value in written.items() if value is not None}
        yield from (f"{place}.{key}" for key in (kept.keys() - written.keys()) | (said - kept.keys()))
        for key in kept.keys() & written.keys():
            yield from changed_keys(written[key], kept[key], f"{place}.{key}")
    elif isinstance(written, list) and isinstance(kept, list):
        for index, pair in enumerate(zip(written, kept, strict=True)):
            yield from changed_keys(*pair, f"{place}[{index}]")


@pytest.mark.parametrize(
    "path", sorted(Path(__file__).parents[2].glob("examples/*/pipeline*.yaml")), ids=lambda path: path.parent.name
)
def test_a_pipeline_file_reads_back_as_it_was(path: Path) -> None:
    file, _ = load(path)
    assert type(file).model_validate(dumped(file)) == file
    assert type(file).model_validate_json(file.to_property()).to_property() == file.to_property()
