"""What is raised when something the user gave is wrong; every other exception is a fault of ours."""

import re


class UserError(Exception):
    """A mistake in what the user gave: its message alone says what, where, and what would be right."""


class RunError(UserError):
    """A run that cannot go on, for what it found on its way; the pipeline file itself may be right."""


class DataError(RunError):
    """A record or file of the data that cannot be used; the message names it."""


class DamageError(RunError):
    """Something that an earlier step or run kept isn't what was written, such as a file with fewer records."""


def tensorflow_reason(error: Exception) -> str:
    """What TensorFlow says of an error, without the names of nodes, devices and operations around it."""
    message = getattr(error, "message", str(error)).partition(" [[{{node ")[0]
    if message.startswith("Graph execution error:"):  # and where in the graph's making; what is wrong comes last
        message = message.strip().rpartition("\n")[2]
    message = message.rpartition("}} ")[2]
    return message.partition(" [Op:")[0].partition("\n")[0].strip()


def library_reason(error: Exception) -> str:
    """The line of an error of TensorFlow or Keras that says what is wrong, which comes behind AutoGraph's trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
    if said:
        return said[-1].partition(": ")[2]
    return lines[0] if lines else type(error).__name__
