"""Runs that are killed, or whose disk fills up, in their longest steps, and are run again.

`make test-faults` does so at many more moments of every step.
"""

from pathlib import Path

import pytest

from tests.support.fault_project import assert_survived, make_fault_project, needs_mounts
from tests.support.fault_runs import Fault, run_plans

pytestmark = pytest.mark.slow

FAULTS = (
    Fault("ExampleGen", 20),
    Fault("Embedder", 30),
    Fault("Transform", 10),
    Fault("Trainer", "batch"),
    Fault("Trainer", "Format-Serving", "full"),
    Fault("Trainer", "Format-Serving"),
    Fault("Evaluator", 30),
    Fault("Pusher", 30, "full"),
    Fault("Pusher", 60),
)


@needs_mounts()
def test_after_kills_and_full_disks_a_run_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    project = make_fault_project(tmp_path)
    disturbed = [*map(project.disturbed, FAULTS), project.disturbed()]
    plans = [project.served_before(), project.undisturbed(), *disturbed]
    outcomes = run_plans(plans, tmp_path, project.disk, read_only=[tmp_path / "data", tmp_path / "module"])
    assert [outcome.plan.fault for outcome in outcomes[2:-1]] == list(FAULTS)
    assert_survived(outcomes)
    assert outcomes[-1].ran == ["Pusher"]
