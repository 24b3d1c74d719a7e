"""Options of the commands that use Kubeflow Pipelines, and their connection to it."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hubline.core.errors import RunError, UserError
from hubline.pipeline.output import NOWHERE, into_log
from hubline.pipeline.terminal import console_on

if TYPE_CHECKING:
    from hubline.pipeline.config import AnyFile
    from hubline.pipeline.kubeflow.api import Address, Client

_PLACE = "Kubeflow Pipelines"
_TOKEN, _COOKIES = "HUBLINE_KFP_TOKEN", "HUBLINE_KFP_COOKIES"

Image = Annotated[
    str | None, typer.Option(help="Image of all steps, NAME@sha256:…; by default kubeflow.image of the file.")
]
AllowTag = Annotated[bool, typer.Option("--allow-tag", help="Accept an image by tag. Tags can move.")]
Experiment = Annotated[
    str | None, typer.Option(help="Experiment; by default kubeflow.experiment of the file, or the pipeline's name.")
]
Host = Annotated[
    str | None,
    typer.Option(
        envvar="HUBLINE_KFP_HOST",
        help="Address of the API or the dashboard; by default kubeflow.api.host of the file.",
        rich_help_panel=_PLACE,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        envvar="HUBLINE_KFP_NAMESPACE",
        help="Namespace in a multi-user installation; by default kubeflow.api.namespace of the file.",
        rich_help_panel=_PLACE,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help=f"File with an access token. Alternatives: a token in {_TOKEN}, session cookies in {_COOKIES}.",
        rich_help_panel=_PLACE,
    ),
]


def address_of(file: "AnyFile", host: str | None, namespace: str | None, token_file: Path | None) -> "Address":
    """The API's address and credentials: from the options, then the environment, then the file.

    Raises:
        UserError: If there is no address, or the token file is empty.
    """
    api = file.kubeflow.api
    if not (host := host or api.host):
        raise UserError(
            "no address of Kubeflow Pipelines. Set the address of its API or dashboard with --host, with "
            "HUBLINE_KFP_HOST "
            "or in the file: kubeflow: {api: {host: https://kubeflow.example/pipeline}}"
        )
    if not host.startswith(("http://", "https://")):
        raise UserError(f"{host}: the address must start with https:// or http://")
    token = token_file.read_text(encoding="utf-8").strip() if token_file else os.environ.get(_TOKEN, "").strip()
    if token_file and not token:
        raise UserError(f"{token_file}: the file is empty; expected a token")
    from hubline.pipeline.kubeflow.api import Address

    return Address(
        host=host.rstrip("/"),
        ui_host=api.ui_host,
        namespace=namespace or api.namespace,
        token=token or None,
        cookies=os.environ.get(_COOKIES) or None,
        ca_file=api.ca_file,
    )


def connected(address: "Address") -> "Client":
    from hubline.pipeline.kubeflow.api import connect

    return connect(address)


@contextmanager
def quietly(as_json: bool) -> Iterator[Console]:
    """Hides the output of kfp and TFX; exits with code 1 on a failure of the installation."""
    ended: RunError | None = None
    with into_log(NOWHERE) as (stdout, stderr):
        shown = stderr if as_json else stdout
        try:
            yield console_on(shown)
        except RunError as error:
            ended = error
            console_on(stderr).print(str(error), style="red", soft_wrap=True)
    if ended:
        if as_json:
            print(json.dumps({"status": "failed", "error": str(ended)}))
        raise typer.Exit(1)


def warn(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(warning, style="yellow", soft_wrap=True)
