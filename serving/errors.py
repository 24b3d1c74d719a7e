"""Errors that a client is told, with the status codes of gRPC, which TensorFlow Serving uses for both of its APIs."""

import logging
import re

import tensorflow as tf
from grpc import StatusCode as Code

from hubline.core.errors import tensorflow_reason

HTTP_STATUS: dict[Code, int] = {
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 412,
    Code.NOT_FOUND: 404,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
    Code.INTERNAL: 500,
}
"""HTTP status of each code, as TensorFlow Serving answers."""

_LOGGER = logging.getLogger(__name__)
_PATH = re.compile(r"(?<![\w.])(?:[a-z][a-z0-9]*:/)?/[\w.@+-]+(?:/[\w.@+-]+)+")


class RequestError(Exception):
    """A request that is refused or failed."""

    def __init__(self, code: Code, message: str, http_status: int | None = None) -> None:
        """An error.

        Args:
            code: The status of a gRPC response.
            message: What the client is told.
            http_status: The status of an HTTP response, if not that of the code.
        """
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status or HTTP_STATUS[code]


def invalid(message: str) -> RequestError:
    """The error for a request that doesn't fit the model."""
    return RequestError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> RequestError:
    """The error for a model or version that isn't there."""
    return RequestError(Code.NOT_FOUND, message)


def of_model(error: Exception) -> RequestError:
    """The error for a request on which the model failed. Paths of the server don't reach the client.

    What is no fault of the request is written to the log.
    """
    if isinstance(error, ValueError | tf.errors.InvalidArgumentError):
        text = tensorflow_reason(error) if isinstance(error, tf.errors.OpError) else str(error)
        return invalid(_PATH.sub("(a path of the server)", text))
    _LOGGER.error("the model failed", exc_info=error)
    return RequestError(Code.INTERNAL, f"the model failed: {type(error).__name__}; the server's log has the details")
