"""Errors in what the user provided; any other exception is a bug of Hubline."""

import re


class UserError(Exception):
    """An error in what the user provided. The message alone says what is wrong, where, and what would be right."""


class RunError(UserError):
    """A run that cannot continue because of something it found; the pipeline file itself may be right."""


class DataError(RunError):
    """A record or file of the data that cannot be used; the message names it."""


class DamageError(RunError):
    """Something stored by an earlier step or run differs from what was written, for example a file with fewer
    records."""


def tensorflow_reason(error: Exception) -> str:
    """TensorFlow's reason for an error, without the names of nodes, devices and operations around it."""
    message = getattr(error, "message", str(error)).partition(" [[{{node ")[0]
    if message.startswith("Graph execution error:"):  # the reason follows a stack trace
        message = message.strip().rpartition("\n")[2]
    message = message.rpartition("}} ")[2]
    return message.partition(" [Op:")[0].partition("\n")[0].strip()


def library_reason(error: Exception) -> str:
    """The line of a TensorFlow or Keras error that states the reason; it follows AutoGraph's stack trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    messages = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
    if messages:
        return messages[-1].partition(": ")[2]
    return lines[0] if lines else type(error).__name__
