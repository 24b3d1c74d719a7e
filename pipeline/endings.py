"""How a command ends that doesn't succeed: one message for a person, one JSON object with --json, and the exit code."""

import errno
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from hubline.core.errors import UserError
from hubline.pipeline.terminal import console_on

_INTERRUPTED = 130

_ClickException: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
"""Click's base of errors in a command line; newer versions of typer have a copy of click of their own."""


def run_command(app: Callable[..., Any]) -> NoReturn:
    """Runs a command line and exits.

    Exit codes: that of the command; 2 for an error in what the user provided, also on the command line; 1 for a bug of
    ours; 130 after Ctrl-C.

    Args:
        app: The typer application.
    """
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except _ClickException as error:
        error.show(sys.stderr)
        _print_json("mistake", error.format_message(), mistakes=[])
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader, such as head, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still in the buffer
            sys.exit(1)
        # A file or folder named on the command line.
        _end_with_mistake(UserError(f"{error.filename}: {error.strerror}" if error.filename else str(error)))
    except UserError as error:
        _end_with_mistake(error)
    except Exception as fault:
        _end_with_fault(fault)


def _end_with_mistake(error: UserError) -> NoReturn:
    console_on(sys.stderr).print(str(error), style="red", soft_wrap=True)
    _print_json("mistake", str(error), mistakes=getattr(error, "as_dicts", []))
    sys.exit(2)


def _end_with_fault(fault: Exception) -> NoReturn:
    with tempfile.NamedTemporaryFile("w", prefix="hubline-", suffix=".log", encoding="utf-8", delete=False) as log:
        traceback.print_exception(fault, file=log)
    error = f"hubline {' '.join(sys.argv[1:])}: unexpected {type(fault).__name__}: {fault}".partition("\n")[0]
    error = f"{error}; the traceback is in {log.name}"
    console_on(sys.stderr).print(error, style="red", soft_wrap=True)
    _print_json("failed", error)
    sys.exit(1)


def _print_json(status: str, error: str, **more: Any) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"status": status, "error": error, **more}))
