"""Result of a run, as printed by `--json` and stored in `report.json`."""

from datetime import date
from typing import Literal

from hubline.artifacts.decision import Decision, Metrics
from hubline.artifacts.examples import LeftOut
from hubline.artifacts.serving_check import ServingCheckResult
from hubline.core.config_base import Section
from hubline.core.usage import Usage
from hubline.report.contents import Artifacts

Status = Literal["succeeded", "not_blessed", "failed", "interrupted"]


class Step(Section):
    """Outcome of a step."""

    id: str
    seconds: float
    cached: bool
    usage: Usage | None = None
    """What the step used; None if it was cached."""


class Result(Section):
    """Outcome of a run."""

    status: Status
    pushed_model: str | None = None
    """The version in serving, whether newly pushed or not."""
    newly_pushed: bool = False
    waiting_model: str | None = None
    """With `serving.approval`, the folder in which the model waits to be approved."""
    approve_command: str | None = None
    """The command that approves the waiting model, with a place for the reason."""
    published_module: str | None = None
    """The newest version of the hub module of `export.publish`, whether newly published or not: a handle."""
    predictions: str | None = None
    """With `task: infer`, the newest version of the predictions, whether newly written or not."""
    newly_predicted: bool = False
    blessed: bool | None = None
    """None if the run did not reach the blessing."""
    spans: tuple[int, ...] | None = None
    """Spans that were read, in order; None if the data has none."""
    dates: tuple[date, ...] | None = None
    """Dates of the spans, if they are dates."""
    warnings: tuple[str, ...] = ()
    """Findings about the data that did not stop the run, one line each."""
    left_out: dict[str, LeftOut] = {}
    """Records that `data.where` and `data.take` left out, by split; splits that lost none are missing."""
    metrics: Metrics = {}
    """Test metrics of the candidate; with `task: infer` and a label, metrics of the predictions."""
    decision: Decision | None = None
    serving_check: ServingCheckResult | None = None
    """What a server answered before the push; None if the run didn't get that far, or the file leaves the check out."""
    best_trial: str | None = None
    """With `tune`, the values of the best trial in the form of the pipeline file."""
    nothing_to_do: bool = False
    """Whether everything was as in the last run that succeeded; `report` is then the folder of that run."""
    rerun_from: str | None = None
    """With `--from`, the step from which on steps ran even if they were cached."""
    ended_after: str | None = None
    """With `--until`, the last step to run; nothing was pushed unless it is the Pusher, or follows it."""
    steps: tuple[Step, ...] = ()
    """Steps in the order they ran. `pin` runs before the graph and is never cached."""
    seconds: float
    failed_step: str | None = None
    error: str | None = None
    artifacts: Artifacts = Artifacts()
    """Folders of the artifacts; `hubline.report.read_artifacts.read` reads their contents."""
    report: str
    """Folder of `report.json` and of the page, `index.html`."""
    log: str
    """The complete log."""

    @property
    def partial(self) -> str | None:
        """What `--from` and `--until` changed, in words; None without them."""
        parts = []
        if self.rerun_from:
            parts.append(f"{self.rerun_from} and the steps that depend on it ran as --from asks, cached or not.")
        if self.ended_after:
            ends = "Ended" if self.status == "succeeded" else "To end"
            parts.append(f"{ends} after {self.ended_after}, as --until asks; steps that it doesn't need did not run.")
        return " ".join(parts) or None
