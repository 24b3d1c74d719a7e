"""Reports the end of a run to a webhook: `python -m hubline.pipeline.kubeflow.notify done|tell [ABOUT] EXECUTOR_INPUT`.

Before 2.14, Kubeflow Pipelines does not tell an exit handler how the run ended, and no version tells it why. So failing
steps leave their error in a folder of the run, and `done` leaves a marker there after the last step; without the
marker, the run has failed.
"""

import os
import re
import sys
from datetime import datetime, timezone
from typing import Any, Literal

import urllib3

from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.errors import RunError, UserError
from hubline.pipeline.kubeflow.executor_io import ExecutorInput
from hubline.pipeline.kubeflow.report_place import ReportPlace

WORD = "HUBLINE_WORD"
"""Environment variable with the folder in which the steps of all runs leave errors; not set without an alert."""
WEBHOOK = "HUBLINE_WEBHOOK"
"""Environment variable with the webhook's URL."""
RUN_ID, RUN_NAME = "run_id", "run_name"
"""Parameters with the run's ID and display name."""

_DONE = "done.json"
_MOST = 4000
"""Maximum length of an error message; its end is kept."""

# https://github.com/kubeflow/pipelines/blob/master/backend/src/v2/driver/driver.go: the pipeline root of a run ends in
# its ID, followed by the task's name.
_OUTPUT = re.compile(r"/(?P<run>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?P<task>[^/]+)/")


class NotificationContext(Section):
    """Subject and condition of a notification."""

    pipeline: str
    on: Literal["failure", "always"]
    steps: dict[str, str] = {}
    """Step names by task name."""
    link: str | None = None
    """URL of the run's page, with {run_id} as placeholder."""
    report: ReportPlace | None = None
    """Where the report is; None if the pipeline has none."""


class FailedStep(Section):
    """A failed step and its error."""

    step: str
    error: str


class Message(Section):
    """The JSON body of the notification."""

    pipeline: str
    run_id: str
    run_name: str
    status: Literal["succeeded", "failed"]
    failed_steps: tuple[FailedStep, ...]
    """Steps that left an error. A step killed by the cluster, for example because of its memory, could not."""
    link: str | None
    report: ReportPlace | None
    """Where the report is, if the run reached the step that writes it."""
    at: datetime
    text: str
    """Summary as text, which Slack, Mattermost, Teams and Google Chat display."""


def record_failure(launched: ExecutorInput, error: str, step: str | None = None) -> None:
    """Records why a step failed, if notifications are enabled and the step can determine its run.

    Args:
        launched: The launcher's input.
        error: The error message.
        step: Name of the step, if it differs from the task's.
    """
    folder, place = os.environ.get(WORD), _place(launched)
    if folder and place:
        run_id, task = place
        word = FailedStep(step=step or task, error=error[-_MOST:])
        storage.write_bytes(f"{folder}/{run_id}/failed-{task}.json", word.model_dump_json().encode())


def _place(launched: ExecutorInput) -> tuple[str, str] | None:
    """The IDs of run and task."""
    if run_id := launched.inputs.parameters.get(RUN_ID):
        return run_id, "pin"
    uris = (each.uri for found in launched.outputs.artifacts.values() for each in found.artifacts)
    match = next(filter(None, map(_OUTPUT.search, uris)), None)
    return (match["run"], match["task"]) if match else None


def done(launched: ExecutorInput) -> None:
    """Records that every step has succeeded."""
    storage.write_bytes(f"{os.environ[WORD]}/{launched.inputs.parameters[RUN_ID]}/{_DONE}", b"{}")


def message(about: NotificationContext, launched: ExecutorInput, now: datetime) -> Message:
    """Creates the notification for an ended run from what `done` and `leave_word` recorded."""
    run_id, run_name = (str(launched.inputs.parameters[name]) for name in (RUN_ID, RUN_NAME))
    folder = f"{os.environ[WORD]}/{run_id}"
    failed = [_read(f"{folder}/{name}") for name in storage.names(folder) if name.startswith("failed-")]
    succeeded = storage.exists(f"{folder}/{_DONE}")
    link = about.link.format(run_id=run_id) if about.link else None
    lines = [f"{about.pipeline}: the run {run_name} {'succeeded' if succeeded else 'failed'}"]
    # A step that failed and was retried has left an error too.
    failed = [] if succeeded else failed
    failed = [each.model_copy(update={"step": about.steps.get(each.step, each.step)}) for each in failed]
    lines += [f"{each.step}: {each.error}" for each in failed]
    if not succeeded and not failed:
        lines.append("no step recorded an error: see the log of the failed step")
    if link:
        lines.append(link)
    if about.report:
        lines.append(f"report{'' if succeeded else ' (if the run got that far)'}: {about.report}")
    return Message(
        pipeline=about.pipeline,
        run_id=run_id,
        run_name=run_name,
        status="succeeded" if succeeded else "failed",
        failed_steps=tuple(failed),
        link=link,
        report=about.report.at(link) if about.report else None,
        at=now,
        text="\n".join(lines),
    )


def _read(path: str) -> FailedStep:
    with storage.open_binary(path) as file:
        return FailedStep.model_validate_json(file.read())


def tell(about: NotificationContext, launched: ExecutorInput) -> None:
    """Sends the notification if the run's outcome calls for one, and removes the records.

    Raises:
        RunError: if the webhook does not accept it.
    """
    notification = message(about, launched, datetime.now(timezone.utc))
    if about.on == "always" or notification.status == "failed":
        print(notification.text)
        _post(os.environ[WEBHOOK], notification)
    storage.remove_files_below(f"{os.environ[WORD]}/{notification.run_id}")


def _post(url: str, notification: Message) -> None:
    # POST requests are retried too: a duplicate notification does less harm than a missing one.
    retries = urllib3.Retry(total=4, backoff_factor=2, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=None)
    try:
        answer = urllib3.PoolManager(timeout=30.0).request(
            "POST",
            url,
            body=notification.model_dump_json().encode(),
            headers={"Content-Type": "application/json"},
            retries=retries,
        )
    except urllib3.exceptions.HTTPError as error:
        raise RunError(f"the webhook doesn't answer: {type(error).__name__}") from error  # its URL is a secret
    if answer.status >= 300:
        raise RunError(f"the webhook responded {answer.status} {answer.reason}")


def main(arguments: list[str]) -> int:
    """Returns 1 if the webhook does not accept the notification."""
    what, *about, launched = arguments
    handed: Any = ExecutorInput.model_validate_json(launched)
    try:
        if what == "done":
            done(handed)
        else:
            tell(NotificationContext.model_validate_json(about[0]), handed)
        handed.finish()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
