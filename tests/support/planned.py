"""Runs that are compared with what `hubline plan` says before, and `hubline why` after."""

from pathlib import Path

from hubline.pipeline.partial import WHOLE, Part
from hubline.pipeline.plan import plan
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.pipeline.why import why


def as_planned(path: Path, part: Part = WHOLE) -> tuple[Result, int]:
    """Runs a pipeline; what `hubline plan` says before and `hubline why` after is what each step does."""
    planned = plan(path, None, (), part)
    result, code = run(path, None, quiet=True, part=part)
    done = [(step.id, step.cached) for step in result.steps if step.id != "pin"]
    assert [(step.id, step.cached) for step in planned.steps[: len(done)]] == done
    assert planned.nothing_to_do == result.nothing_to_do
    _, explained = why(path, None, "last")
    assert [(step.id, step.cached) for step in explained[: len(done)]] == done
    assert all(step.reasons for step in explained if not step.cached)
    return result, code
