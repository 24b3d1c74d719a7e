"""How the images of an Examples artifact are stored, if not as encoded images; only the report needs this."""

from collections.abc import Mapping

from pydantic import TypeAdapter

from hubline.core import storage
from hubline.preprocessing.kinds.stored_pixels import Stored

_FILE = "pixels.json"
_BY_COLUMN = TypeAdapter(dict[str, Stored])


def write_pixel_columns(uri: str, columns: Mapping[str, Stored]) -> None:
    """Writes a description of the image columns that hold pixels; nothing if there are none."""
    if columns:
        storage.write_bytes(f"{uri}/{_FILE}", _BY_COLUMN.dump_json(dict(columns), by_alias=True))


def read_pixel_columns(uri: str) -> dict[str, Stored]:
    """The image columns of an Examples artifact that hold pixels, with how they do."""
    path = f"{uri}/{_FILE}"
    if not storage.exists(path):
        return {}
    with storage.open_binary(path) as file:
        return _BY_COLUMN.validate_json(file.read())
