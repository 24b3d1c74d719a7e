"""The form of a look: a rule that also reads files."""

from collections.abc import Callable, Iterator

from hubline.core.config_errors import Location, PlacedError
from hubline.core.errors import UserError


def fault_at(location: Location, look: Callable[[], object]) -> Iterator[PlacedError]:
    """The error that a function raises about a user's file, placed at the key that names the file."""
    try:
        look()
    except UserError as error:
        yield location, str(error)
    except OSError as error:  # a folder without permission, or a name that is too long
        yield location, f"{error.filename}: {error.strerror}"
