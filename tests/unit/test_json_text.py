"""JSON has neither NaN nor infinity."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubline.core.json_text import dumps

NUMBERS = st.floats() | st.integers(-(2**53), 2**53) | st.booleans() | st.none() | st.text()
VALUES = st.recursive(NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def refuse(constant: str) -> None:
    pytest.fail(f"{constant} is no JSON")


def without(value):
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: without(inner) for key, inner in value.items()}
    return [without(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.slow
@given(VALUES)
def test_what_is_written_is_read_by_any_reader_and_is_the_same_but_for_numbers_that_json_lacks(value) -> None:
    assert json.loads(dumps(value), parse_constant=refuse) == without(value)
