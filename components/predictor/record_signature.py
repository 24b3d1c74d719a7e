"""Which signature of a SavedModel takes serialized tf.Examples. Without TensorFlow, for `hubline check`."""

from collections.abc import Mapping

from hubline.core.errors import UserError
from hubline.trainer.export_format import SERVING
from hubline.trainer.module import Function, listed


def examples_signature(signatures: Mapping[str, Function], wanted: str | None) -> str:
    """The signature to call.

    Raises:
        UserError: if there is none, or several and none is chosen.
    """
    fitting = [name for name, function in signatures.items() if _takes_examples(function)]
    offered = "; ".join(f"{name} takes {listed(function.inputs)}" for name, function in sorted(signatures.items()))
    if wanted is not None and wanted not in fitting:
        fault = "takes no serialized tf.Examples" if wanted in signatures else "doesn't exist"
        raise UserError(f"the signature '{wanted}' {fault} (one input, string[?]); signatures: {offered or 'none'}")
    if wanted is None and SERVING not in fitting and len(fitting) != 1:
        fault = "several signatures take" if fitting else "no signature takes"
        raise UserError(
            f"{fault} serialized tf.Examples (one input, string[?]){'; choose one' if fitting else ''}; signatures: "
            f"{offered or 'none'}"
        )
    return wanted or (SERVING if SERVING in fitting else fitting[0])


def _takes_examples(function: Function) -> bool:
    inputs = list(function.inputs.values())
    return len(inputs) == 1 and inputs[0].dtype == "string" and inputs[0].shape in (None, (None,), (1,))
