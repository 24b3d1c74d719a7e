"""The command `hubline submit`. Nothing here imports kfp before the command needs it."""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from hubline.core.errors import RunError
from hubline.pipeline.common_options import File, Json
from hubline.pipeline.kubeflow.connection import (
    AllowTag,
    Experiment,
    Host,
    Image,
    Namespace,
    TokenFile,
    address_of,
    connected,
    quietly,
    warn,
)


def submit(
    file: File,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Override a run parameter; repeatable."),
    ] = None,
    run_name: Annotated[
        str | None, typer.Option(help="Name of the run; by default the pipeline's name and the time.")
    ] = None,
    experiment: Experiment = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show the steps until the run ends.")] = False,
    image: Image = None,
    allow_tag: AllowTag = False,
    host: Host = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Compile a pipeline file and run it on Kubeflow Pipelines 2.

    Exit codes: 0 submitted, or with --wait succeeded; 1 the run failed; 2 an error in the file or options.

    Example: hubline submit pipeline.yaml --parameter epochs=3 --wait
    """
    from hubline.pipeline.load import load

    pipeline, source = load(file)
    from hubline.pipeline.kubeflow import run_parameters

    given = run_parameters.of_options(pipeline, parameter or [], source.folder)
    address = address_of(pipeline, host, namespace, token_file)
    with quietly(as_json) as console, tempfile.TemporaryDirectory() as folder:
        with console.status("compiling"):
            from hubline.pipeline.kubeflow import publish, watch
            from hubline.pipeline.kubeflow import submit as submission

            package = publish.pack(pipeline, source, image, allow_tag, Path(folder))
            warn(console, package.warnings)
            client = connected(address)
            run = submission.submit(client, pipeline, package, given, experiment, run_name)
        console.print(f"{run.name}  {run.link}", soft_wrap=True)
        if run.report:
            console.print(f"report: {run.report}, once that step is done", soft_wrap=True)
        outcome = None
        if wait:
            steps = watch.steps_of(package.spec)
            try:
                with watch.Display(console, steps) as shown:
                    outcome = watch.wait(client, run.id, steps, shown)
            except KeyboardInterrupt:
                raise RunError(f"stopped waiting; the run continues: {run.link}") from None
            submission.show_outcome(console, client, run, outcome)
        result = submission.as_json(run, outcome)
    if as_json:
        print(json.dumps(result))
    raise typer.Exit(0 if outcome is None or outcome.state in ("SUCCEEDED", "SKIPPED") else 1)
