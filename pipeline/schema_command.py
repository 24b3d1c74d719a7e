"""The command `hubline schema`. Nothing here imports TFDV before the command needs it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hubline.core.errors import UserError
from hubline.pipeline.common_options import File, Json
from hubline.pipeline.terminal import console_on, plain


def schema(
    file: File,
    freeze: Annotated[
        bool,
        typer.Option("--freeze", help="Write the schema, and statistics as a baseline, next to the pipeline file."),
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="With --freeze: the file to write; by default schema.pbtxt.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="With --freeze: replace existing files.")] = False,
    root: Annotated[Path | None, typer.Option(help="Same as for hubline run.")] = None,
    as_json: Json = False,
) -> None:
    """Show the schema of the data: the curated schema, or the one that a run would infer.

    --freeze writes the schema for data.schema, where you can edit it, and the statistics of the training split for
    data.baseline, with which later runs compare their data.

    Example: hubline schema examples/digits/pipeline.yaml --freeze
    """
    from hubline.pipeline.load import load_training
    from hubline.pipeline.output import NOWHERE, into_log

    if not freeze and (output or overwrite):
        raise UserError("--output and --overwrite require --freeze")
    pipeline, _ = load_training(file, "hubline schema")
    with into_log(NOWHERE) as (stdout, stderr):
        with console_on(stderr).status("describing the data"):
            from hubline.pipeline import schema as schemas

            curated = pipeline.data.data_schema
            written = schemas.to_freeze(file, curated, output, overwrite) if freeze else {}
            described = schemas.describe(file, pipeline, root, read=freeze)
        if freeze:
            schemas.freeze(described, written)
        lines = schemas.lines_for(written, file)
        if not as_json:
            schemas.show_schema(console_on(stdout), described, pipeline.name)
            if written:
                print(plain("\n  ".join([f"Frozen. Add under data: in {file}", *lines])), file=stdout)
    if as_json:
        print(json.dumps({"status": "succeeded", "columns": schemas.columns(described), "data": lines}))
