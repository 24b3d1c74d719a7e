"""`hubline submit`: runs a pipeline file once on Kubeflow Pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console

from hubline.pipeline.config import AnyFile
from hubline.pipeline.kubeflow.api import Client, answered
from hubline.pipeline.kubeflow.publish import Package, experiment_id, publish
from hubline.pipeline.kubeflow.report_place import ReportPlace
from hubline.pipeline.kubeflow.watch import DONE, Outcome, outputs_of


@dataclass(frozen=True)
class Run:
    """A submitted run."""

    id: str
    name: str
    experiment: str
    version: str
    """Name of the pipeline version."""
    link: str
    """URL of its dashboard page."""
    report: ReportPlace | None
    """Where the dashboard shows its report; None if the pipeline has none."""


def submit(
    client: Client,
    file: AnyFile,
    package: Package,
    parameters: Mapping[str, Any],
    experiment: str | None = None,
    run_name: str | None = None,
) -> Run:
    """Uploads the package, unless it has been uploaded before, and starts a run.

    Args:
        client: The API.
        file: The pipeline file.
        package: The compiled file.
        parameters: All run parameters, as returned by `run_parameters.of_options`, so that the dashboard shows and
            compares them.
        experiment: Default: the file's, or one named after the pipeline.
        run_name: Default: the pipeline's name and the time.
    """
    experiment = experiment or file.kubeflow.experiment or file.name
    run_name = run_name or f"{file.name} {datetime.now():%Y-%m-%d %H:%M:%S}"
    version = publish(client, file.name, package)
    place = experiment_id(client, experiment)
    with answered(client.address, "beginning the run"):
        run = client.run_pipeline(
            place,
            run_name,
            params=dict(parameters),
            pipeline_id=version.pipeline_id,
            version_id=version.version_id,
            service_account=file.kubeflow.service_account,
        )
    link = client.link(f"runs/details/{run.run_id}")
    report = ReportPlace.find(outputs_of(package.spec))
    return Run(run.run_id, run_name, experiment, package.version, link, report.at(link) if report else None)


def as_json(run: Run, outcome: Outcome | None) -> dict[str, Any]:
    """Result as JSON: the submitted run and, with an outcome, how it ended. `report` is null if the run did not reach
    the step that writes it."""
    result: dict[str, Any] = {
        "status": "submitted",
        "run_id": run.id,
        "run": run.name,
        "experiment": run.experiment,
        "version": run.version,
        "link": run.link,
        "report": run.report.model_dump() if run.report else None,
    }
    if outcome:
        result["status"] = outcome.state.lower()
        result["report"] = result["report"] if _has_report(run, outcome) else None
        result["steps"] = dict(outcome.steps)
        result["error"] = outcome.error
        result["failed"] = {
            step: {"error": words.error, "log": list(words.lines)} for step, words in outcome.failed.items()
        }
    return result


def _has_report(run: Run, outcome: Outcome) -> bool:
    return run.report is not None and outcome.steps.get(run.report.step) == DONE


def show_outcome(console: Console, client: Client, run: Run, outcome: Outcome) -> None:
    """Prints the outcome of a run; for failed steps, the last lines of their logs or where to find them."""
    console.print(f"{run.name}: {outcome.state.lower()}", style="bold")
    if _has_report(run, outcome):
        console.print(f"report: {run.link}  {run.report}", soft_wrap=True)
    if outcome.error:
        console.print(outcome.error, soft_wrap=True)
    for step, words in outcome.failed.items():
        console.print(f"{step} failed{f': {words.error}' if words.error else ''}", style="red")
        if words.lines:
            console.print(f"the last {len(words.lines)} lines of its log:")
            console.print("\n".join(words.lines), soft_wrap=True)
        else:
            namespace = f" --namespace {client.namespace}" if client.namespace else ""
            console.print(
                f"its log is not to be had from {client.address.host}; it is on the page of the run, or with\n"
                f"kubectl logs{namespace} --selector pipeline/runid={run.id} --container main --prefix --tail 100",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
