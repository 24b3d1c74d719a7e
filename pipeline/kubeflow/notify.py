"""Tells a webhook how a run ended: `python -m hubline.pipeline.kubeflow.notify done|tell [ABOUT] EXECUTOR_INPUT`.

No version of Kubeflow Pipelines before 2.14 tells an exit handler how the run went, and none tells why. So a step that
fails leaves word in a folder of the run, and after the last step `done` leaves word there too: where that is missing,
the run has failed.
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
from hubline.pipeline.kubeflow.executor_io import Launched
from hubline.pipeline.kubeflow.report_place import ReportPlace

WORD = "HUBLINE_WORD"
"""The environment variable that names the folder in which the steps of all runs leave word; none do without."""
WEBHOOK = "HUBLINE_WEBHOOK"
"""The environment variable with the webhook's URL."""
RUN_ID, RUN_NAME = "run_id", "run_name"
"""The parameters with what the backend calls the run, and what people do."""

_DONE = "done.json"
_MOST = 4000
"""Characters of a message; the last ones count."""

# https://github.com/kubeflow/pipelines/blob/master/backend/src/v2/driver/driver.go: the pipeline root of a run ends in
# its ID, and the name of the task follows.
_OUTPUT = re.compile(r"/(?P<run>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?P<task>[^/]+)/")


class About(Section):
    """What an alert is about, and when there is one."""

    pipeline: str
    on: Literal["failure", "always"]
    steps: dict[str, str] = {}
    """The name of each step by that of its task."""
    link: str | None = None
    """The run's page, in which {run_id} stands for its ID."""
    report: ReportPlace | None = None
    """Where the report is; None where no step makes one."""


class FailedStep(Section):
    """A step that failed, and what it said last."""

    step: str
    error: str


class Message(Section):
    """What is sent, as JSON."""

    pipeline: str
    run_id: str
    run_name: str
    status: Literal["succeeded", "failed"]
    failed_steps: tuple[FailedStep, ...]
    """Those that left word; one that was stopped by the cluster, such as for its memory, could not."""
    link: str | None
    report: ReportPlace | None
    """Where the report is, if the run got as far as the step that makes it."""
    at: datetime
    text: str
    """All of it in words, which is what Slack, Mattermost, Teams and Google Chat show."""


def leave_word(launched: Launched, error: str, step: str | None = None) -> None:
    """Says why a step failed, where an alert is asked for and the step knows of which run it is.

    Args:
        launched: What the launcher handed the step.
        error: Why.
        step: The step's name, where it is another than that of its task.
    """
    folder, place = os.environ.get(WORD), _place(launched)
    if folder and place:
        run_id, task = place
        word = FailedStep(step=step or task, error=error[-_MOST:])
        storage.write_bytes(f"{folder}/{run_id}/failed-{task}.json", word.model_dump_json().encode())


def _place(launched: Launched) -> tuple[str, str] | None:
    """The IDs of run and task."""
    if run_id := launched.inputs.parameters.get(RUN_ID):
        return run_id, "pin"
    uris = (each.uri for found in launched.outputs.artifacts.values() for each in found.artifacts)
    match = next(filter(None, map(_OUTPUT.search, uris)), None)
    return (match["run"], match["task"]) if match else None


def done(launched: Launched) -> None:
    """Says that every step has succeeded."""
    storage.write_bytes(f"{os.environ[WORD]}/{launched.inputs.parameters[RUN_ID]}/{_DONE}", b"{}")


def message(about: About, launched: Launched, now: datetime) -> Message:
    """What is to be said of a run that has ended, and of which `done` and `leave_word` have left word."""
    run_id, run_name = (str(launched.inputs.parameters[name]) for name in (RUN_ID, RUN_NAME))
    folder = f"{os.environ[WORD]}/{run_id}"
    failed = [_read(f"{folder}/{name}") for name in storage.names(folder) if name.startswith("failed-")]
    succeeded = storage.exists(f"{folder}/{_DONE}")
    link = about.link.format(run_id=run_id) if about.link else None
    lines = [f"{about.pipeline}: the run {run_name} {'succeeded' if succeeded else 'failed'}"]
    # A step that failed and was tried again has left word too.
    failed = [] if succeeded else failed
    failed = [each.model_copy(update={"step": about.steps.get(each.step, each.step)}) for each in failed]
    lines += [f"{each.step}: {each.error}" for each in failed]
    if not succeeded and not failed:
        lines.append("no step could say why: look at the log of the one that is red")
    if link:
        lines.append(link)
    if about.report:
        lines.append(f"report{'' if succeeded else ', if the run got that far'}: {about.report}")
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


def tell(about: About, launched: Launched) -> None:
    """Sends the message where one is asked for, and tidies up.

    Raises:
        RunError: where the webhook does not take it.
    """
    said = message(about, launched, datetime.now(timezone.utc))
    if about.on == "always" or said.status == "failed":
        print(said.text)
        _post(os.environ[WEBHOOK], said)
    storage.remove_files_below(f"{os.environ[WORD]}/{said.run_id}")


def _post(url: str, said: Message) -> None:
    # A POST is tried again too: an alert that comes twice does less harm than one that does not come.
    retries = urllib3.Retry(total=4, backoff_factor=2, status_forcelist=[429, 500, 502, 503, 504], allowed_methods=None)
    try:
        answer = urllib3.PoolManager(timeout=30.0).request(
            "POST",
            url,
            body=said.model_dump_json().encode(),
            headers={"Content-Type": "application/json"},
            retries=retries,
        )
    except urllib3.exceptions.HTTPError as error:
        raise RunError(f"the webhook does not answer: {type(error).__name__}") from error  # its URL is a secret
    if answer.status >= 300:
        raise RunError(f"the webhook answers {answer.status} {answer.reason}")


def main(arguments: list[str]) -> int:
    """1 where the webhook does not take the message."""
    what, *about, launched = arguments
    handed: Any = Launched.model_validate_json(launched)
    try:
        if what == "done":
            done(handed)
        else:
            tell(About.model_validate_json(about[0]), handed)
        handed.finish()
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
