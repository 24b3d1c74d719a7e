"""Client for the API of Kubeflow Pipelines: kfp's client with timeouts, retries and errors that suggest a fix."""

import functools
import http
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import kfp
import kfp_server_api
import urllib3

from hubline.core.errors import RunError, UserError
from hubline.pipeline.adapters.kfp import RestClient, call, headers, use_rest_client

TIME_LIMITS = (10, 60)
"""Connect timeout and read timeout in seconds."""
TRIES = 5
_A_PAGE = 200
"""Stands in for the status of a response that is a web page rather than the API's."""
_PASSING = (429, 502, 503, 504)
"""Statuses of an installation that is restarting."""


@dataclass(frozen=True)
class Address:
    """Address of an installation, and credentials."""

    host: str
    ui_host: str | None = None
    namespace: str | None = None
    token: str | None = None
    cookies: str | None = None
    ca_file: str | None = None
    first_wait: float = 1.0
    """Seconds before the first retry; doubled for each further one."""


class Client(kfp.Client):
    """kfp's client, which retries idempotent requests on transient errors."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.health: Any = None
        super().__init__(
            host=address.host,
            ui_host=address.ui_host or address.host,
            namespace=address.namespace or "kubeflow",  # kfp's default
            existing_token=address.token,
            cookies=address.cookies,
            ssl_ca_cert=address.ca_file,
        )
        self._be_patient()

    def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:
        """As kfp's, which its constructor calls; without kfp's silent retries for 25 seconds on errors."""
        self._be_patient()
        self.health = self.call("GET", "/apis/v2beta1/healthz", "V2beta1GetHealthzResponse")
        return self.health

    def _be_patient(self) -> None:
        use_rest_client(self, lambda configuration: _RetryingClient(configuration, self.address.first_wait))

    def call(self, method: str, path: str, answers: str | None, **given: Any) -> Any:
        """Makes a request for which kfp's client has no method.

        Args:
            method: Such as GET.
            path: Path of the API, with the names of `path_params` in braces.
            answers: Response type in `kfp_server_api`; None for the raw response.
            given: `path_params`, `query_params`, `body` or `_host`.
        """
        return call(self, method, path, answers, **given)

    @property
    def namespace(self) -> str | None:
        """Namespace of the runs, in a multi-user installation."""
        return self.address.namespace or self.get_user_namespace() or None

    def link(self, place: str) -> str:
        """URL of a dashboard page, such as `runs/details/ID`."""
        return f"{(self.address.ui_host or self.address.host).rstrip('/')}/#/{place}"


class _RetryingClient(RestClient):
    """HTTP client with timeouts and retries, and without redirects."""

    def __init__(self, configuration: kfp_server_api.Configuration, first_wait: float) -> None:
        # urllib3 would follow a redirect to a log-in page and return its HTML.
        never = urllib3.Retry(connect=0, read=0, status=0, other=0, redirect=0, raise_on_redirect=False)
        super().__init__(configuration, TIME_LIMITS, never)
        self._first_wait = first_wait

    def request(self, method: str, url: str, **given: Any) -> Any:
        once = functools.partial(super().request, method, url, **given)
        # Enabling and disabling are idempotent too.
        changes_nothing_twice = method in ("GET", "DELETE") or url.endswith((":enable", ":disable"))
        response = _with_tries(once, self._first_wait) if changes_nothing_twice else once()
        if "html" in (headers(response).get("content-type") or ""):
            page = kfp_server_api.ApiException(status=_A_PAGE, reason="a web page")
            page.body = b""  # kfp_server_api decodes the body
            raise page
        return response


def _with_tries(once: Callable[[], Any], wait: float) -> Any:
    for _ in range(TRIES - 1):
        try:
            return once()
        except kfp_server_api.ApiException as error:
            if error.status not in _PASSING:
                raise
        except urllib3.exceptions.ReadTimeoutError:
            raise  # a minute has passed already
        except urllib3.exceptions.HTTPError as error:
            if isinstance(
                getattr(error, "reason", None), urllib3.exceptions.SSLError | urllib3.exceptions.ReadTimeoutError
            ):
                raise
        time.sleep(wait)
        wait *= 2
    return once()


def connect(address: Address) -> Client:
    """Connects to the installation's API.

    Raises:
        UserError: if the credentials are rejected, or a multi-user installation requires a namespace and none is given.
        RunError: if the installation does not answer, or is out of order.
    """
    with answered(address):
        client = Client(address)
        if client.health and client.health.multi_user and client.namespace is None:
            raise UserError(
                f"{address.host} is a multi-user installation: set your namespace with --namespace, "
                "HUBLINE_KFP_NAMESPACE or kubeflow.api.namespace in the file"
            )
    return client


@contextmanager
def answered(address: Address, doing: str = "") -> Iterator[None]:
    """Turns API errors into messages with the cause and a fix.

    Args:
        address: Address of the API.
        doing: The current operation, for the message.
    """
    where = f"{address.host}{f' ({doing})' if doing else ''}"
    try:
        yield
    except kfp_server_api.ApiException as error:
        raise _explained(where, address, error) from None
    except urllib3.exceptions.HTTPError as error:
        raise RunError(f"{where}: {_no_answer(error)}") from None


def _explained(where: str, address: Address, error: kfp_server_api.ApiException) -> UserError:
    message = _message(error)
    match error.status:
        case 0 | None:
            return UserError(f"{where}: {message or error.reason}; set kubeflow.api.ca_file to the CA certificates")
        case status if status == _A_PAGE:
            return UserError(
                f"{where}: responds with a web page. If it is a login page, set HUBLINE_KFP_COOKIES or a token; "
                "otherwise the address must be that of Kubeflow Pipelines 2, such as https://kubeflow.example/pipeline"
            )
        case 301 | 302 | 303 | 307 | 308 | 401:
            if address.token or address.cookies:
                what = " and ".join(name for name in ("token", "cookies") if getattr(address, name))
                return UserError(f"{where}: rejects the {what}, which may have expired{_ended(message)}")
            return UserError(
                f"{where}: requires authentication: pass a token with --token-file or HUBLINE_KFP_TOKEN, or the "
                f"cookies of a browser session with HUBLINE_KFP_COOKIES{_ended(message)}"
            )
        case 403:
            what = f"for namespace {address.namespace}" if address.namespace else "without a namespace"
            return UserError(f"{where}: you are not authorized {what} (--namespace){_ended(message)}")
        case 404:
            return UserError(f"{where}: not found; is this the address of Kubeflow Pipelines 2?{_ended(message)}")
        case 400 | 409 | 422:
            return UserError(
                f"{where}: {'already exists' if error.status == 409 else 'rejects the request'}{_ended(message)}"
            )
        case status:
            name = http.HTTPStatus(status).phrase if status in set(http.HTTPStatus) else ""
            return RunError(f"{where}: responds with {status} {name}; try again later{_ended(message)}")


def _ended(message: str) -> str:
    return f": {message}" if message else ""


def _message(error: kfp_server_api.ApiException) -> str:
    """The API's error message, unwrapped; empty if the body is HTML."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    try:
        content = json.loads(body)
    except ValueError:
        return "" if body.lstrip().startswith("<") else body.strip().partition("\n")[0][:500]
    if not isinstance(content, dict):
        return str(content)
    text = content.get("message") or content.get("error_message") or content.get("error") or ""
    return str(text).strip().partition("\n")[0]


def _no_answer(error: urllib3.exceptions.HTTPError) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, urllib3.exceptions.SSLError):
        return f"the certificate cannot be verified: {reason}; set kubeflow.api.ca_file to the CA certificates"
    if isinstance(reason, urllib3.exceptions.ReadTimeoutError):
        return f"no response within {TIME_LIMITS[1]} seconds"
    cause = str(reason).partition(": ")[2] or str(reason)
    return f"no response: {cause}; check the address, and the port forwarding or VPN"


def pages(ask: Callable[..., Any], items: str) -> Iterator[Any]:
    """All items of a paginated list.

    Args:
        ask: Called with `page_token` and `page_size`.
        items: Attribute of the response with the items.
    """
    token = ""
    while True:
        page = ask(page_token=token, page_size=100)
        yield from getattr(page, items) or ()
        token = page.next_page_token
        if not token:
            return


def named(name: str) -> str:
    """List filter for items with a name."""
    equals = 1  # https://github.com/kubeflow/pipelines/blob/master/backend/api/v2beta1/filter.proto
    return json.dumps({"predicates": [{"operation": equals, "key": "display_name", "stringValue": name}]})
