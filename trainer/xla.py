"""XLA's errors in the words of the pipeline file."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from hubline.core.errors import UserError

_FAILED = "tf2xla conversion failed"
_OPERATION = re.compile(r" on XLA_\w+: (?P<operation>\w+) .*?\{\{node (?P<node>[^}]+)\}\}", re.DOTALL)


@contextmanager
def explaining_xla() -> Iterator[None]:
    """Explains that XLA can't compile a model.

    Raises:
        UserError: with the operation, in place of TensorFlow's error.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if _FAILED not in error.message:
            raise
        found = _OPERATION.search(error.message)
        what = f"the operation {found['operation']} ({found['node']})" if found else "the training step"
        raise UserError(f"training.devices.jit_compile: XLA can't compile {what}; leave jit_compile out") from error
