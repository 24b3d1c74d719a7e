from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from hubline.core import storage
from hubline.core.errors import UserError


def read_curated(path: str) -> schema_pb2.Schema:
    """Reads a schema.pbtxt.

    Raises:
        UserError: if there is no such file, or it is not a schema.
    """
    if not storage.exists(path) or storage.is_folder(path):
        raise UserError(
            f"{path}: there is no such file; create a curated schema, schema.pbtxt, with `hubline schema FILE --freeze"
            "writes it"
        )
    try:
        with storage.open_binary(path) as file:
            return text_format.Parse(file.read().decode(), schema_pb2.Schema())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a schema.pbtxt (a TensorFlow Metadata schema): {error}") from None
