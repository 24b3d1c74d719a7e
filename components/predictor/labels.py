"""Files of labels: the names of a module's classes."""

from components import storage
from preprocessing.errors import UserError


def read_labels(path: str) -> tuple[str, ...]:
    """The names in a file of labels, one to a line.

    Raises:
        UserError: where it is no text.
    """
    if not storage.exists(path) or storage.is_folder(path):
        raise UserError(f"{path}: there is no such file of labels")
    with storage.open_binary(path) as file:
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: not a text in UTF-8 (byte {error.start})") from None
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if not any(lines):
        raise UserError(f"{path}: there is no label in it")
    return tuple(lines)
