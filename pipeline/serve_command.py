"""The command `hubline serve`. Imports TensorFlow only when it serves."""

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hubline.core.errors import UserError
from hubline.pipeline.common_options import Json
from hubline.pipeline.output import NOWHERE, into_log
from hubline.pipeline.terminal import console_on

if TYPE_CHECKING:
    from hubline.serving.policy import VersionPolicy

_LIMITS, _BATCHES = "Limits", "Batches"


def serve(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="Serving folder, or a single version. A path, or a URL of a store.")
    ],
    name: Annotated[
        str | None, typer.Option(help="Name of the model in requests; by default that of the folder.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at. 0.0.0.0 answers other machines.")] = "127.0.0.1",
    rest_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the REST API; 0 for any.")] = 8501,
    grpc_port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the gRPC API; 0 for any.")] = 8500,
    versions: Annotated[
        str, typer.Option(metavar="VERSIONS", help="latest, latest:N for the N newest, all, or numbers such as 3,7.")
    ] = "latest",
    label: Annotated[
        list[str] | None, typer.Option(metavar="LABEL=VERSION", help="Label of a version; repeatable.")
    ] = None,
    poll_seconds: Annotated[float, typer.Option(min=0.1, help="Interval between looks for new versions.")] = 2.0,
    threads: Annotated[int, typer.Option(min=1, help="Requests or batches that run at the same time.")] = 2,
    batch_size: Annotated[
        int,
        typer.Option(
            min=1,
            help="Most examples in a batch of several requests; with 1, requests are not joined.",
            rich_help_panel=_BATCHES,
        ),
    ] = 1,
    batch_delay_ms: Annotated[
        float, typer.Option(min=0, help="How long a batch waits for more requests.", rich_help_panel=_BATCHES)
    ] = 5.0,
    queue: Annotated[
        int,
        typer.Option(min=1, help="Requests that may wait; others are answered with 429.", rich_help_panel=_LIMITS),
    ] = 256,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds that a request may take.", rich_help_panel=_LIMITS)
    ] = 60.0,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds for running requests when the server ends.", rich_help_panel=_LIMITS)
    ] = 30.0,
    max_body_mb: Annotated[
        float, typer.Option(min=0.001, help="Size of a request in MB.", rich_help_panel=_LIMITS)
    ] = 64.0,
    max_examples: Annotated[int, typer.Option(min=1, help="Examples in a request.", rich_help_panel=_LIMITS)] = 4096,
    max_megapixels: Annotated[
        float, typer.Option(min=0.001, help="Size of an image in megapixels.", rich_help_panel=_LIMITS)
    ] = 100.0,
    config: Annotated[
        Literal["tf-serving", "docker", "kserve"] | None,
        typer.Option(help="Print the configuration with which this server serves the folder, and end."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer requests with a pushed model, over TensorFlow Serving's REST and gRPC APIs.

    For development and tests; in production, serve the same folder with TensorFlow Serving or KServe. New versions in
    the folder are loaded while the server runs.

    Example: hubline serve serving/digits, and then
    curl -d '{"instances": [{"image": {"b64": "..."}}]}' localhost:8501/v1/models/digits:predict
    """
    if config is not None:
        from hubline.serving.other_servers import configuration

        text = configuration(config, folder, name or _name_of(folder), _policy(versions), _labels(label or []))
        print(json.dumps({"status": "succeeded", "config": text}) if as_json else text)
        return

    import asyncio

    with into_log(NOWHERE):  # importing TensorFlow prints a page
        from hubline.serving.limits import Limits
        from hubline.serving.scheduler import Batching
        from hubline.serving.server import Settings
        from hubline.serving.server import serve as run

    settings = Settings(
        folder=folder,
        name=name or _name_of(folder),
        host=host,
        rest_port=rest_port,
        grpc_port=grpc_port,
        policy=_policy(versions),
        labels=_labels(label or []),
        poll_seconds=poll_seconds,
        threads=threads,
        queue=queue,
        timeout=timeout,
        grace=grace,
        batching=Batching(batch_size, batch_delay_ms / 1000),
        limits=Limits(int(max_body_mb * 1e6), max_examples, int(max_megapixels * 1e6)),
    )
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", force=True)

    def started(rest: int, grpc: int) -> None:
        urls = {"rest": f"http://{host}:{rest}/v1/models/{settings.name}", "grpc": f"{host}:{grpc}"}
        if as_json:
            print(json.dumps(urls), flush=True)
        else:
            console_on(sys.stdout).print(f"REST: {urls['rest']}\ngRPC: {urls['grpc']}", highlight=False)
            sys.stdout.flush()

    if not asyncio.run(run(settings, started)):
        os._exit(1)  # otherwise Python waits for the model


def _name_of(folder: str) -> str:
    """Name of the folder; that of its parent, if the folder is a version."""
    parts = [part for part in Path(folder).absolute().parts if not part.isdecimal()]
    return parts[-1]


def _policy(text: str) -> "VersionPolicy":
    from hubline.serving.policy import VersionPolicy

    kind, _, count = text.partition(":")
    if text == "all":
        return VersionPolicy(latest=None)
    if kind == "latest" and (not count or (count.isdecimal() and int(count) > 0)):
        return VersionPolicy(latest=int(count or 1))
    numbers = text.split(",")
    if not all(number.isascii() and number.isdecimal() for number in numbers):
        raise UserError(f"--versions {text}: must be latest, latest:N, all, or numbers such as 3,7")
    return VersionPolicy(fixed=tuple(map(int, numbers)))


def _labels(given: list[str]) -> dict[str, int]:
    found = {}
    for text in given:
        name, _, version = text.partition("=")
        if not (name and version.isascii() and version.isdecimal()):
            raise UserError(f"--label {text}: must be LABEL=VERSION, such as stable=7")
        found[name] = int(version)
    return found
