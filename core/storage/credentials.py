"""Settings of each store's file system, and error messages about access.

Settings come from the environment variables that the field's tools read: those of botocore, Google's application
default credentials, Azure's, and for MinIO those of its clients and charts.
"""

import os
from typing import Any

from hubline.core.errors import UserError

_CONNECTIONS = 64
"""Requests to S3 at a time; botocore's default of 10 is fewer than a step's threads send."""
READ_SECONDS = 60.0
"""Silence after which a request to S3 counts as lost and is sent again; botocore's default."""
_S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_AWS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine or pod a role"
_SET = {
    "s3": f"set {_AWS}; AWS_ENDPOINT_URL selects a server other than Amazon's, and FSSPEC_S3_ANON=true reads public "
    "data",
    "minio": f"set MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or {_AWS}",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS to the file of a key, run `gcloud auth application-default login`, or "
    "give the machine or pod a service account",
    "az": "set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY",
}
_REFUSALS = {
    "NoCredentialsError",  # botocore
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
    "NoAuthTokenError",
    "DefaultCredentialsError",  # google.auth
    "RefreshError",
    "ClientAuthenticationError",  # azure.core
}
_UNREACHABLE = {
    "EndpointConnectionError",  # botocore
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "ReadTimeoutError",
    "ServerDisconnectedError",  # aiohttp
    "ClientConnectorError",  # aiohttp
    "ClientConnectorDNSError",
    "ServiceRequestError",  # azure.core
    "ServiceResponseError",
    "UnavailableError",  # TensorFlow, which reads gs:// itself
    "ClientPayloadError",  # aiohttp: the connection ended within an answer
    "IncompleteRead",
    "ResponseStreamingError",  # botocore
}
_BUSY = {"429", "500", "502", "503", "504"}


class AccessError(UserError):
    """A store that cannot be used: unknown, unreachable, or with missing or rejected credentials."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url}: {reason}")
        self.url = url


def options(url: str) -> tuple[str, dict[str, Any]]:
    """fsspec's name for a URL's scheme, and the arguments of its file system.

    Raises:
        AccessError: if there is no endpoint for minio://.
    """
    scheme = url.partition("://")[0]
    if scheme == "memory":
        return scheme, {}
    settings: dict[str, Any] = {"use_listings_cache": False}
    if scheme in ("s3", "minio"):
        endpoint = next((os.environ[name] for name in _S3_ENDPOINTS if os.environ.get(name)), None)
        if scheme == "minio":
            endpoint = endpoint or _minio_endpoint(url)
            key, secret = os.environ.get("MINIO_ACCESS_KEY"), os.environ.get("MINIO_SECRET_KEY")
            if key and secret and "AWS_ACCESS_KEY_ID" not in os.environ:
                settings |= {"key": key, "secret": secret}
        settings |= {"config_kwargs": {"max_pool_connections": _CONNECTIONS, "read_timeout": READ_SECONDS}}
        return "s3", settings | ({"endpoint_url": endpoint} if endpoint else {})
    if scheme == "gs":
        # The file system for zonal buckets needs Google's gRPC clients, which are missing in one of the stacks.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        if os.environ.get("STORAGE_EMULATOR_HOST"):
            settings["token"] = "anon"
    return scheme, settings


def _minio_endpoint(url: str) -> str:
    endpoint = os.environ.get("MINIO_ENDPOINT", "")
    if not endpoint.startswith(("http://", "https://")):
        found = f"MINIO_ENDPOINT={endpoint} is no address" if endpoint else "no server is configured"
        raise AccessError(
            url,
            f"{found}; set AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or MINIO_ENDPOINT to the server's address, such as "
            "http://minio-service.kubeflow:9000",
        )
    return endpoint


def is_refused(error: Exception) -> bool:
    """Whether credentials are missing or rejected."""
    return (
        isinstance(error, PermissionError)
        or type(error).__name__ in _REFUSALS
        or str(getattr(error, "code", "")) in ("401", "403")
        or str(error).startswith(("Forbidden", "Must provide either a connection_string"))
    )


def is_unreachable(error: Exception) -> bool:
    """Whether the store's server cannot be reached."""
    return isinstance(error, ConnectionError | TimeoutError) or type(error).__name__ in _UNREACHABLE


def is_transient(error: BaseException) -> bool:
    """Whether an error, or what caused it, is that a store doesn't answer: the next try may succeed."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Exception) and (is_unreachable(cause) or _status(cause) in _BUSY):
            return True
        cause = cause.__cause__
    return False


def _status(error: Exception) -> str:
    """The HTTP status that a store answered with; empty if there is none."""
    response = getattr(error, "response", None)  # of botocore, a dictionary
    if isinstance(response, dict):
        return str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    return str(getattr(error, "status_code", None) or getattr(error, "code", ""))


def what_to_set(scheme: str) -> str:
    """What provides the credentials for a scheme."""
    return _SET.get("az" if scheme in ("az", "abfs", "abfss", "adl") else scheme, f"see fsspec's page on {scheme}://")
