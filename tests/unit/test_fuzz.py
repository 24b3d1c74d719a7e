"""Some hundreds of damaged inputs for each reader of input from outside; `make fuzz` tries a million."""

from pathlib import Path

import pytest

from tests.fuzz.fuzzing import Target, fuzz
from tests.fuzz.requests import SERVED
from tests.fuzz.targets import IN_PROCESS, in_process

INPUTS = 100


@pytest.mark.slow
@pytest.mark.parametrize("target", (*IN_PROCESS, *SERVED), ids=lambda target: target.name)
def test_what_comes_from_outside_is_taken_or_refused(target: Target, tmp_path: Path) -> None:
    outcome = fuzz(target, INPUTS, tmp_path)
    assert outcome.inputs == INPUTS and outcome.taken and outcome.refused, "the inputs are nearly right"
    assert not outcome.crashes


def test_a_crash_is_counted_and_its_input_is_kept(tmp_path: Path) -> None:
    def parse(folder: Path, number: int, data: bytes) -> bool:
        if len(data) > 6:
            raise KeyError("crashed")
        return data[:1] == b"a"

    outcome = fuzz(Target("texts", lambda folder: [b"abcd"], in_process(parse)), 500, tmp_path)
    assert outcome.inputs == 500 and outcome.taken and outcome.refused and outcome.crashed
    ((place, data),) = outcome.crashes.items()
    assert place.startswith("KeyError at test_fuzz.py:") and len(data) > 6
    assert fuzz(Target("texts", lambda folder: [b"abcd"], in_process(parse)), 500, tmp_path) == outcome, "repeatable"
