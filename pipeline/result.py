"""What a run came to: what `--json` prints and `report.json` holds."""

from datetime import date
from typing import Literal

from hubline.artifacts.decision import Decision, Metrics
from hubline.core.config_base import Section
from hubline.report.contents import Artifacts

Status = Literal["succeeded", "not_blessed", "failed", "interrupted"]


class Step(Section):
    """How a step went."""

    id: str
    seconds: float
    cached: bool


class Result(Section):
    """How a run went."""

    status: Status
    pushed_model: str | None = None
    """The version that serves, also where nothing new was pushed."""
    newly_pushed: bool = False
    predictions: str | None = None
    """With `task: infer`, the newest version of the predictions, also where nothing new was written."""
    newly_predicted: bool = False
    blessed: bool | None = None
    """None where the run did not come to a blessing."""
    spans: tuple[int, ...] | None = None
    """The spans of the data that was taken, in order; None where it has none."""
    dates: tuple[date, ...] | None = None
    """Their dates, where they are dates."""
    warnings: tuple[str, ...] = ()
    """What was found about the data that is worth knowing and stopped nothing, a line each."""
    metrics: Metrics = {}
    """Of the candidate on the test split; with `task: infer` and a label, of the predictions."""
    decision: Decision | None = None
    nothing_to_do: bool = False
    """Whether everything was as in the last run that succeeded; `report` is then the folder of that run."""
    steps: tuple[Step, ...] = ()
    """The steps of the graph, in the order they ran; `pin` runs before it, and is never cached."""
    seconds: float
    failed_step: str | None = None
    error: str | None = None
    artifacts: Artifacts = Artifacts()
    """The folders of what the run made; `hubline.report.read_artifacts.read` tells what is in them."""
    report: str
    """The folder of `report.json` and of the page, `index.html`."""
    log: str
    """The file with the whole log."""
