"""Adds a notification to a package as the exit handler of its runs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hubline.pipeline.kubeflow.config import Alert, Kubeflow, SecretKey
from hubline.pipeline.kubeflow.escaping import argument
from hubline.pipeline.kubeflow.notify import RUN_ID, RUN_NAME, WEBHOOK, WORD, NotificationContext
from hubline.pipeline.kubeflow.placement import KeySource
from hubline.pipeline.kubeflow.report_place import ReportPlace
from hubline.pipeline.kubeflow.tasks import Group, Input, Node, Task, of_the_run, task_name

_MODULE = "hubline.pipeline.kubeflow.notify"
_STEPS, _DONE, _ALERT = "Steps", "Done", "Alert"
_RUN = {RUN_ID: of_the_run("pipeline_job_uuid", "The run's ID.")}
_NAME = {RUN_NAME: of_the_run("pipeline_job_name", "The run's name.")}


def alerted(pin: Task, steps: Sequence[Task], form: dict[str, Input], name: str, kubeflow: Kubeflow) -> list[Node]:
    """Puts all steps into a group, followed by a notification that runs however the group ends.

    Args:
        pin: The first step; receives the run's ID.
        steps: All other steps.
        form: The run parameters as inputs.
        name: Name of the pipeline.
        kubeflow: Contains the alert.
    """
    assert kubeflow.alert is not None
    waited_for = {each for step in steps for each in step.after}
    last = [step.step for step in steps if step.step not in waited_for]
    inside = [
        replace(pin, parameters={**pin.parameters, **_RUN}),
        *steps,
        Task(_DONE, _MODULE, ["done", "{{$}}"], parameters=_RUN, after=last, cached=False),
    ]
    names = {task_name(each.step): each.step for each in inside}
    report = ReportPlace.find((step.step, step.outputs) for step in steps)
    about = NotificationContext(pipeline=name, on=kubeflow.alert.on, steps=names, link=_link(kubeflow), report=report)
    alert = Task(
        _ALERT,
        _MODULE,
        ["tell", argument(about.model_dump(mode="json", exclude_none=True)), "{{$}}"],
        parameters={**_RUN, **_NAME},
        after=[_STEPS],
        cached=False,
        in_any_case=True,
    )
    return [Group(_STEPS, inside, form), alert]


def with_webhook(kubeflow: Kubeflow) -> Kubeflow:
    """Adds the webhook's URL to the environment of the notification's pod."""
    if kubeflow.alert is None:
        return kubeflow
    placement, webhook = kubeflow.placement(_ALERT), kubeflow.alert.webhook
    if isinstance(webhook, SecretKey):
        secret = KeySource(name=webhook.secret, env={WEBHOOK: webhook.key})
        given: dict[str, Any] = {"secrets": (*placement.secrets, secret)}
    else:
        given = {"env": {**placement.env, WEBHOOK: webhook}}
    return kubeflow.model_copy(update={"steps": {**kubeflow.steps, _ALERT: placement.model_copy(update=given)}})


def env(alert: Alert | None, state: str) -> dict[str, str]:
    """The environment variable that tells steps where to leave error messages."""
    return {WORD: f"{state}/word"} if alert else {}


def _link(kubeflow: Kubeflow) -> str | None:
    return kubeflow.api.page("runs/details/{run_id}")
