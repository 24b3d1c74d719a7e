"""The command `hubline compile`. Nothing here imports kfp before the command needs it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hubline.pipeline.common_options import File, Json
from hubline.pipeline.kubeflow.connection import AllowTag, Image
from hubline.pipeline.terminal import plain


def compile_(
    file: File,
    output: Annotated[Path, typer.Option("--output", "-o", help="Package to write.")] = Path("package.yaml"),
    image: Image = None,
    allow_tag: AllowTag = False,
    as_json: Json = False,
) -> None:
    """Compile a pipeline file to a package for Kubeflow Pipelines 2, and validate it against the backend's rules.

    Example: hubline compile pipeline.yaml -o package.yaml --image registry.example/hubline@sha256:…
    """
    from hubline.pipeline.load import load
    from hubline.pipeline.output import NOWHERE, into_log

    pipeline, source = load(file)
    with into_log(NOWHERE) as (stdout, stderr):
        from hubline.pipeline.kubeflow.compile import compile_file

        compiled = compile_file(pipeline, source, image, allow_tag, output)
        spec = compiled.spec
        parameters = spec["root"]["inputDefinitions"]["parameters"]
        steps = [label.removeprefix("exec-") for label in spec["deploymentSpec"]["executors"]]
        if not as_json:
            print(plain(f"{output}: {len(steps)} pods; run parameters: {', '.join(parameters)}"), file=stdout)
            print(f"estimated size of a run's workflow: {compiled.size}", file=stdout)
        for warning in compiled.warnings:
            print(plain(f"warning: {warning}"), file=stderr)
    if as_json:
        result: dict[str, object] = {
            "status": "succeeded",
            "package": str(output),
            "steps": steps,
            "parameters": list(parameters),
        }
        result |= {"workflow_bytes": compiled.size.total, "warnings": list(compiled.warnings)}
        print(json.dumps(result))
