"""What is raised when something the user gave is wrong; every other exception is a fault of ours."""


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
