"""Makes one module, in a process with the Keras that the model needs: `main([REQUEST, ANSWER])`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from hubline.core import storage
from hubline.core.errors import UserError, library_reason
from hubline.trainer.autograph import leave_libraries_alone
from hubline.trainer.keras_files.application import application
from hubline.trainer.keras_files.model import load, source_of, with_layers
from hubline.trainer.keras_files.recognise import read_keras_file
from hubline.trainer.keras_files.request import ModuleAnswer, ModuleRequest
from hubline.trainer.keras_files.reusable import Source, write_reusable
from hubline.trainer.keras_files.signature import of_signature
from hubline.trainer.keras_files.trial import EXAMPLES, compare
from hubline.trainer.reaching_operations import refuse_reaching
from hubline.trainer.saved_model_loader import read_saved_model


def main(arguments: Sequence[str]) -> None:
    request_file, answer_file = arguments
    request = ModuleRequest.model_validate_json(storage.read_bytes(request_file))
    # Python puts the current folder first; a file must not choose what is imported from there.
    sys.path[:] = [each for each in sys.path if each not in ("", str(Path.cwd()))]
    if request.imports:
        sys.path.append(str(Path.cwd()))
    leave_libraries_alone()
    try:
        answer = make(request)
    except UserError as error:
        answer = ModuleAnswer(error=str(error))
    storage.write_text(answer_file, answer.model_dump_json())


def make(request: ModuleRequest) -> ModuleAnswer:
    """Makes a module, and compares it with the original.

    Raises:
        UserError: if the original can't be loaded, or the module's answers aren't the original's.
    """
    source = _source(request)
    try:
        write_reusable(source, request.output)
    except Exception as error:  # Keras and the model's own layers raise anything while they are traced
        raise UserError(f"{request.source}: TensorFlow can't save the model: {library_reason(error)}") from error
    if request.kind != "signature":  # whose operations were looked at, and may be allowed
        _refuse_reaching(request)
    module: Any = tf.saved_model.load(request.output)
    difference = compare(lambda given: source.call(given, False), module, source.inputs)
    notes = [] if source.trainable else ["it has no trainable variables: all of the model's layers are frozen"]
    return ModuleAnswer(difference=difference, tried=EXAMPLES, notes=tuple(notes))


def _refuse_reaching(request: ModuleRequest) -> None:
    try:
        refuse_reaching(read_saved_model(request.output), request.allow_operations)
    except UserError as error:
        raise UserError(f"{request.source}: {error}") from None


def _source(request: ModuleRequest) -> Source:
    if request.kind == "signature":
        return of_signature(request.source, request.signature)
    if request.kind == "application":
        return application(request.source, request.weights, request.size, request.layers)
    file = read_keras_file(request.source)
    assert file is not None  # checked before this process was started
    model = load(file, request.imports, request.allow_lambda, request.allow_operations)
    return source_of(with_layers(model, request.layers) if request.layers else model, request.keras)
