"""A small project whose runs are disturbed: three pipeline files, of which the first one pushes the version that serves
before."""

import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fault_runs import Fault, Outcome, Plan
from tests.support.project import PIPELINE, make_project

_PIPELINE = PIPELINE.replace("training: {", "training: {seed: 1, checkpoints: {every: 3}, ")

STEPS = (
    "HubModule.mean", "ExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "ParsingSchema", "DataGate",
    "Embedder", "Transform", "Trainer", "Evaluator", "Pusher",
)  # fmt: skip


@dataclass(frozen=True)
class FaultProject:
    """The files of the project."""

    folder: Path

    @property
    def disk(self) -> Path:
        """Where the disturbed runs write."""
        return self.folder / "disk"

    def served_before(self) -> Plan:
        """A run that pushes version 1 into the serving folder of the disturbed runs."""
        return self._plan("before", "before")

    def undisturbed(self) -> Plan:
        """A run like the disturbed ones, which pushes elsewhere."""
        return self._plan("undisturbed", "before")

    def disturbed(self, fault: Fault | None = None) -> Plan:
        """A run that is to push version 2."""
        return self._plan("disturbed", "disk", fault)

    def _plan(self, name: str, disk: str, fault: Fault | None = None) -> Plan:
        return Plan(path=str(self.folder / f"{name}.yaml"), disk=str(self.folder / disk), fault=fault)


def make_fault_project(folder: Path) -> FaultProject:
    """Writes data, module and pipeline files."""
    make_project(folder).unlink()
    (folder / "disk").mkdir()
    texts = {
        "before": _PIPELINE.replace("destination: serving", "destination: disk/serving"),
        "undisturbed": _PIPELINE.replace("seed: 1", "seed: 2").replace(
            "destination: serving", "destination: before/serving"
        ),
        "disturbed": _PIPELINE.replace("seed: 1", "seed: 2").replace(
            "destination: serving", "destination: disk/serving"
        ),
    }
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return FaultProject(folder)


def assert_survived(outcomes: list[Outcome]) -> None:
    """Checks a served_before run, an undisturbed one, disturbed ones, and the last, which ends: what each fault said,
    that the version before went on to be served unchanged, and that the last run made what the undisturbed one made."""
    before, undisturbed, *disturbed, last = outcomes
    assert (before.code, undisturbed.code, last.code) == (0, 0, 0), [before.said, undisturbed.said, last.said]
    assert list(last.served) == ["1", "2"] and last.events == ["pushed 1", "pushed 2"]
    for each in disturbed:
        fault = each.plan.fault
        assert fault and each.moment, each
        is_pushed = fault.step == "Pusher" and each.served == last.served
        assert is_pushed or each.served == {"1": last.served["1"]}, each
        if fault.kind == "kill":
            assert each.code == -signal.SIGKILL, each
        elif each.code or each.moment != "end":  # after the last step, nothing needs space
            assert each.code == 1, each
            error = each.result["error"]
            assert re.match(rf"\S+ of {each.plan.path}: \S+: no space left on the disk\. Make room", error), error
    assert last.made == undisturbed.made
    assert last.result["metrics"] == undisturbed.result["metrics"]
    assert last.result["decision"]["blessed"]


def needs_mounts() -> pytest.MarkDecorator:
    """Skips tests where the user can't mount a disk of their own."""
    tried = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False)
    return pytest.mark.skipif(tried.returncode != 0, reason="this user can't have a mount namespace")
