"""What a server says of its model: the state of its versions, and their signatures."""

import inspect
from typing import Any

from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from hubline.serving.errors import Code, not_found
from hubline.serving.model import Model
from hubline.serving.models import Models
from hubline.serving.signature import DEFAULT

SIGNATURES = "signature_def"
"""The only kind of metadata that TensorFlow Serving has."""

_PARAMETERS = inspect.signature(MessageToDict).parameters
_DEFAULTS = next(  # the name of protobuf 5 and later, and that before
    name for name in ("always_print_fields_with_no_presence", "including_default_value_fields") if name in _PARAMETERS
)


def model_status(models: Models, version: int | None = None) -> Any:
    """The GetModelStatusResponse of all versions, or of one.

    Raises:
        RequestError: if the version is unknown.
    """
    found = models.statuses if version is None else {version: models.statuses.get(version)}
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, status in sorted(found.items(), reverse=True):
        if status is None:
            raise not_found(f"version {number} of model {models.name} is unknown")
        each = response.model_version_status.add(
            version=number, state=get_model_status_pb2.ModelVersionStatus.State.Value(status.state)
        )
        # The reason stays in the log: it names paths of the server.
        each.status.error_code = Code.UNKNOWN.value[0] if status.error else 0
        each.status.error_message = "the version can't be loaded; the server's log has the reason" * bool(status.error)
    return response


def status_json(response: Any) -> dict[str, Any]:
    """A GetModelStatusResponse as TensorFlow Serving's REST API writes it."""
    return {
        "model_version_status": [
            {
                "version": str(each.version),
                "state": get_model_status_pb2.ModelVersionStatus.State.Name(each.state),
                "status": {
                    "error_code": "UNKNOWN" if each.status.error_code else "OK",
                    "error_message": each.status.error_message,
                },
            }
            for each in response.model_version_status
        ]
    }


def model_metadata(model: Model, name: str) -> Any:
    """The GetModelMetadataResponse of a version."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = model.version
    response.metadata[SIGNATURES].Pack(_signatures(model))
    return response


def metadata_json(model: Model, name: str) -> dict[str, Any]:
    """The same as TensorFlow Serving's REST API writes it: with the fields that have their default value."""
    options: dict[str, Any] = {"preserving_proto_field_name": True, _DEFAULTS: True}
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(model.version)},
        "metadata": {SIGNATURES: MessageToDict(_signatures(model), **options)},
    }


def _signatures(model: Model) -> Any:
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in model.definitions.items():
        found.signature_def[name].CopyFrom(definition)
    return found


def fill_spec(spec: Any, name: str, model: Model, signature: str) -> None:
    """Fills a response's ModelSpec with the version and signature that answered."""
    spec.name = name
    spec.version.value = model.version
    spec.signature_name = signature or DEFAULT
