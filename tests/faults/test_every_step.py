"""Kills and full disks at several moments of every step; half an hour on two busy cores."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.fault_project import STEPS, assert_survived, make_fault_project, needs_mounts
from tests.support.fault_runs import Fault, run_plans

KILLS = ("start", 2, 5, 13, 34, 89, 233)
"""Numbers of changes of files. A step that is run again makes fewer, so that every one is killed at its end, too."""


@pytest.mark.timeout(3600)
def test_killed_in_every_step(tmp_path: Path) -> None:
    project = make_fault_project(tmp_path)
    faults: list[Any] = [Fault(step, at) for step in STEPS for at in [*KILLS, "end"]]
    faults.insert(faults.index(Fault("Trainer", "start")), Fault("Trainer", "batch"))
    disturbed = [*map(project.disturbed, faults), project.disturbed()]
    outcomes = run_plans([project.served_before(), project.undisturbed(), *disturbed], tmp_path)
    assert_survived(outcomes)
    ended = {outcome.plan.fault.step for outcome in outcomes if outcome.plan.fault and outcome.moment == "end"}
    assert ended == set(STEPS)


@needs_mounts()
@pytest.mark.timeout(3600)
def test_the_disk_is_full_in_every_step(tmp_path: Path) -> None:
    project = make_fault_project(tmp_path)
    faults = [Fault(step, at, "full") for step in STEPS for at in ("start", 3)]
    disturbed = [*map(project.disturbed, faults), project.disturbed()]
    outcomes = run_plans([project.served_before(), project.undisturbed(), *disturbed], tmp_path, project.disk)
    assert_survived(outcomes)
