"""Modules at web addresses outside the hubs. Their content may change, so the server is asked each time."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from hubline.components.hub_module.archive import ARCHIVES

HUBS = ("tfhub.dev", "kaggle.com", "www.kaggle.com", "hub.tensorflow.google.cn")
_SECONDS = 60.0
_CHUNK = 1 << 20
_VALIDATORS = ("ETag", "Last-Modified")
_NO_HEAD = (403, 405, 501)
"""Status codes of servers that reject HEAD, as those behind signed URLs do."""

UNREACHABLE = (OSError, HTTPException, ValueError)
"""Raised if an address cannot be fetched."""


def names_a_version(url: str) -> bool:
    """Whether an address is that of a version on a hub, which never changes."""
    parts = urlsplit(url)
    return parts.hostname in HUBS and parts.path.rstrip("/").rpartition("/")[2].isdecimal()


def facts(url: str) -> list[str]:
    """What identifies the current module at an address: ETag, Last-Modified and size from the server.

    If the server sends neither ETag nor Last-Modified, the SHA-256 of the content.

    Raises:
        OSError: if the address cannot be fetched, or the response ends early.
    """
    with _response(url, "HEAD") as answer:
        headers = _identifying_headers(answer)
    if not any(line.startswith(_VALIDATORS) for line in headers):
        digest = hashlib.sha256()
        with _response(url, "GET") as answer:
            for chunk in _chunks(answer):
                digest.update(chunk)
        return [url, digest.hexdigest()]
    return [url, *headers]


def _identifying_headers(answer: HTTPResponse) -> list[str]:
    found = {name: answer.headers.get(name) for name in (*_VALIDATORS, "Content-Length")}
    if answer.status == 206:  # a partial response, whose own length is meaningless
        found["Content-Length"] = (answer.headers.get("Content-Range") or "").rpartition("/")[2] or None
    return [f"{name}: {value}" for name, value in found.items() if value]


def download(url: str, path: str) -> None:
    """Downloads an address into a file.

    Raises:
        OSError: if the address cannot be fetched, or the response ends early.
    """
    with _response(url, "GET") as answer, open(path, "wb") as file:  # noqa: PTH123
        for chunk in _chunks(answer):
            file.write(chunk)


def _chunks(answer: HTTPResponse) -> Iterator[bytes]:
    """The content of a response, which Python's client lets end early without an error.

    Raises:
        OSError: if it ends early.
    """
    length, received = answer.headers.get("Content-Length"), 0
    while chunk := answer.read(_CHUNK):
        received += len(chunk)
        yield chunk
    if length is not None and received != int(length):
        raise OSError(f"received {received:,} of {int(length):,} bytes")


@contextmanager
def _response(url: str, method: str) -> Iterator[HTTPResponse]:
    address = _address(url)
    try:
        answer = urlopen(Request(address, method=method), timeout=_SECONDS)
    except HTTPError as error:
        if method != "HEAD" or error.code not in _NO_HEAD:
            raise
        answer = urlopen(Request(address, headers={"Range": "bytes=0-0"}), timeout=_SECONDS)
    with answer:
        yield answer


def _address(url: str) -> str:
    """Address of the archive; a query parameter asks a hub for it, see https://www.tensorflow.org/hub/hosting."""
    parts = urlsplit(url)
    if parts.path.endswith(ARCHIVES):
        return url
    query = "&".join(filter(None, [parts.query, "tf-hub-format=compressed"]))
    return parts._replace(query=query).geturl()
