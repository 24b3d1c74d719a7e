"""Private APIs of kfp's client and of the generated client underneath."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import kfp
import urllib3
from kfp_server_api import Configuration, rest

Seconds = tuple[float, float]
"""Time limits in seconds: for connecting, and for an answer."""


class RestClient(rest.RESTClientObject):
    """HTTP client of the generated client, with time limits and our rules for redirects and retries.

    Private: the class, its `pool_manager`, and `_request_timeout`. kfp's client sets no time limit and follows
    redirects to log-in pages, with no option for either.
    """

    def __init__(self, configuration: Configuration, time_limits: Seconds, retries: urllib3.Retry) -> None:
        super().__init__(configuration)
        self._time_limits = time_limits
        self.pool_manager.request = functools.partial(self.pool_manager.request, retries=retries)

    def request(self, method: str, url: str, **given: Any) -> Any:
        """Sends a request; called by the generated client."""
        given["_request_timeout"] = given.get("_request_timeout") or self._time_limits
        return super().request(method, url, **given)


def use_rest_client(client: kfp.Client, make: Callable[[Configuration], RestClient]) -> None:
    """Routes all requests of a client through our REST client.

    Private: `_healthz_api`, which leads to the generated client that all of kfp's APIs share.
    """
    api_client = client._healthz_api.api_client
    if not isinstance(api_client.rest_client, RestClient):
        api_client.rest_client = make(api_client.configuration)


def call(client: kfp.Client, method: str, path: str, response_type: str | None, **given: Any) -> Any:
    """Calls a path of the API that kfp's client has no function for.

    Private: as in `use_rest_client`, and the underscored arguments of the generated client.

    Args:
        client: The client.
        method: HTTP method, such as GET.
        path: Path in the API, with the names of `path_params` in braces.
        response_type: Type of the answer in `kfp_server_api`; None for the raw response.
        given: `path_params`, `query_params`, `body` or `_host`.
    """
    return client._healthz_api.api_client.call_api(
        path,
        method,
        header_params={"Accept": "*/*", "Content-Type": "application/json"},
        response_type=response_type,
        auth_settings=["Bearer"],
        _return_http_data_only=True,
        _preload_content=response_type is not None,
        **given,
    )


def headers(response: Any) -> Mapping[str, str]:
    """Headers of a response of `RestClient`.

    Private: `urllib3_response`. The public `getheaders` fails with urllib3 2.
    """
    return getattr(response, "urllib3_response", response).headers
