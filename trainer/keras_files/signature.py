"""A signature of a SavedModel as the source of a module."""

from typing import Any

import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.adapters.tensorflow import is_resource
from hubline.trainer.keras_files.reusable import Source, unique
from hubline.trainer.saved_model_loader import by_name, open_module
from hubline.trainer.variables import variables_of


def of_signature(path: str, name: str | None) -> Source:
    """A signature of a TF2 SavedModel, which runs as it was traced: there is no training mode.

    Args:
        path: Folder of the SavedModel.
        name: The signature.

    Raises:
        UserError: if the SavedModel can't be loaded, or lacks the signature.
    """
    module = open_module(path)
    if name not in module.offer.signatures:
        raise UserError(
            f"{path}: no signature '{name}'; its signatures are: {', '.join(sorted(module.offer.signatures))}"
        )
    if module.offer.format == "TF1":
        raise UserError(
            f"{path}: a SavedModel of TF1, which needs no conversion; give it as a handle with signature: {name}"
        )
    signature = module.loaded.signatures[name]
    specs = {
        key: tf.TensorSpec(spec.shape, spec.dtype, key)
        for key, spec in by_name(signature.structured_input_signature[1], "inputs").items()
    }
    is_single = len(specs) == 1

    def call(given: Any, training: bool) -> Any:
        values = {next(iter(specs)): given} if is_single else given
        answers = signature(**values)
        return next(iter(answers.values())) if len(answers) == 1 else dict(answers)

    used = {variable.ref() for variable in signature.graph.variables}
    variables = [variable for variable in variables_of(module.loaded) if variable.ref() in used]
    return Source(
        call=call,
        inputs=next(iter(specs.values())) if is_single else specs,
        variables=dict(zip(unique([each.name.partition(":")[0] for each in variables]), variables, strict=True)),
        trainable=[variable for variable in variables if variable.trainable],
        resources=[part for part in tf.train.TrackableView(module.loaded).descendants() if _is_kept(part)],
        has_training_mode=False,
    )


def _is_kept(part: Any) -> bool:
    return is_resource(part) or isinstance(part, tf.saved_model.Asset)
