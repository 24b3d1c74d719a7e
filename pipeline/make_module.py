"""Makes hub modules of Keras models and SavedModels, each in a process of its own."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from hubline.core import storage
from hubline.core.close_names import close_name
from hubline.core.config_base import is_remote
from hubline.core.errors import UserError
from hubline.trainer.keras_files.code import refuse_code
from hubline.trainer.keras_files.recognise import KerasFile, read_keras_file, refuse_lambdas
from hubline.trainer.keras_files.request import ModuleAnswer, ModuleRequest

_WORKER = (
    "import sys; sys.path[:] = filter(None, sys.path); "
    "from hubline.trainer.keras_files.worker import main; main(sys.argv[1:])"
)
"""Without the current folder, from which Python would import a file beside the model in place of a library."""
_NO_WEIGHTS = "none"


def from_keras(
    source: str,
    output: str,
    layers: Sequence[str] = (),
    weights: str | None = None,
    size: tuple[int, int] | None = None,
    imports: Sequence[str] = (),
    allow_lambda: bool = False,
    allow_operations: Sequence[str] = (),
) -> ModuleAnswer:
    """Makes a module of a Keras file, or of an architecture of keras.applications by name.

    Raises:
        UserError: if the model can't be loaded, or the module's answers aren't the model's.
    """
    if not Path(source).exists():
        _check_architecture(source, weights)
        request = ModuleRequest(
            source=source,
            kind="application",
            output=output,
            layers=tuple(layers),
            weights=None if weights == _NO_WEIGHTS else weights,
            size=size,
        )
        return _make(request)
    file = _keras_file(source)
    if weights is not None or size is not None:
        raise UserError("--weights and --size are for architectures by name; the file has its own weights and shapes")
    if not allow_lambda:
        refuse_lambdas(source, file.lambdas)
    refuse_code(source, file.code, imports)
    request = ModuleRequest(
        source=source,
        kind="keras",
        keras=file.keras,
        output=output,
        layers=tuple(layers),
        imports=tuple(imports),
        allow_lambda=allow_lambda,
        allow_operations=tuple(allow_operations),
    )
    return _make(request)


def from_signature(source: str, output: str, name: str | None, allowed: Sequence[str] = ()) -> ModuleAnswer:
    """Makes a module of a signature of a TF2 SavedModel; by default, the usual or only one.

    Raises:
        UserError: if there is no such signature, or the SavedModel reaches beyond itself.
    """
    from hubline.trainer.reaching_operations import refuse_reaching
    from hubline.trainer.saved_model import usual_signature
    from hubline.trainer.saved_model_loader import read_saved_model

    saved = read_saved_model(source)
    try:
        refuse_reaching(saved, allowed)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    names = [each for each in saved.graph.signature_def if not each.startswith("__")]
    chosen = name or usual_signature(names)
    if chosen is None:
        raise UserError(
            f"{source}: choose one of its signatures with --signature: {', '.join(sorted(names)) or 'none'}"
        )
    return _make(ModuleRequest(source=source, kind="signature", output=output, signature=chosen))


def _keras_file(path: str) -> KerasFile:
    file = read_keras_file(path)
    if file is None:
        is_saved_model = Path(path, "saved_model.pb").exists()
        hint = f"; for a SavedModel, use hubline module from-saved-model {path}" if is_saved_model else ""
        raise UserError(f"{path}: not a Keras model: neither .keras nor HDF5, nor a SavedModel of Keras 2{hint}")
    if not file.has_model:
        raise UserError(
            f"{path}: {file.description}; build the model in Python, load the weights, and save the whole model: "
            "model.load_weights(…); model.save('model.keras')"
        )
    return file


def _check_architecture(name: str, weights: str | None) -> None:
    from hubline.trainer.backbones.config import Application

    architectures = get_args(Application)
    if name not in architectures:
        near = close_name(name, architectures)
        hint = f" (did you mean {near}?)" if near and "/" not in name and "." not in name else ""
        raise UserError(
            f"{name}: neither a file nor an architecture of keras.applications{hint}. Hubline downloads nothing: for a "
            "KerasHub model, pip install keras-hub where you have internet access, save the model with "
            "keras_hub.models.Backbone.from_preset(…).save('model.keras'), and give that file"
        )
    if weights is None:
        raise UserError(
            f"{name}: say --weights FILE, a file with weights without the top, or --weights none for random weights; "
            "Hubline downloads nothing"
        )
    if weights != _NO_WEIGHTS and not Path(weights).is_file():
        raise UserError(f"--weights {weights}: there is no such file; Hubline downloads no weights")


def _make(request: ModuleRequest) -> ModuleAnswer:
    """Makes the module in a folder beside its place, and moves the finished one there."""
    output = Path(request.output)
    if is_remote(request.output):
        raise UserError(f"--output {output}: must be a folder on this machine; copy the module to the store afterwards")
    if output.exists():
        raise UserError(f"--output {output}: exists already; choose another folder, or remove this one")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".hubline-", dir=output.parent) as folder:
        answer = _ask(request.model_copy(update={"output": f"{folder}/module"}), folder)
        if answer.error is not None:
            raise UserError(answer.error)
        Path(folder, "module").rename(output)
    return answer


def _import_path() -> list[str]:
    """Where this process imports from, the current folder last: Hubline itself may be there."""
    here = str(Path.cwd())
    others = [each for each in sys.path if each not in ("", here)]
    return [*others, *([here] if here in sys.path else [])]


def _ask(request: ModuleRequest, folder: str) -> ModuleAnswer:
    """Runs the process with the Keras of the model as `tf.keras`."""
    request_file, answer_file = Path(folder, "request.json"), Path(folder, "answer.json")
    storage.write_text(str(request_file), request.model_dump_json())
    settings = {"TF_USE_LEGACY_KERAS": str(int(request.keras == 2)), "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        [sys.executable, "-c", _WORKER, str(request_file), str(answer_file)],
        env=os.environ | settings | {"PYTHONPATH": os.pathsep.join(_import_path())},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode != 0 or not answer_file.exists():
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise UserError(f"{request.source}: the model can't be made a module: {lines[-1]}")
    return ModuleAnswer.model_validate_json(answer_file.read_bytes())
