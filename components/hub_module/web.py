"""Modules behind web addresses that are no hub's: what is there may change, so the server is asked."""

import hashlib
import shutil
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
"""What servers answer that do not let HEAD through, as those of signed addresses."""

UNREACHABLE = (OSError, HTTPException, ValueError)
"""What is raised where an address cannot be had."""


def names_a_version(url: str) -> bool:
    """Whether an address is that of a version on a hub, which never changes."""
    parts = urlsplit(url)
    return parts.hostname in HUBS and parts.path.rstrip("/").rpartition("/")[2].isdecimal()


def facts(url: str) -> list[str]:
    """What tells whether the module at an address has changed: ETag, time and size as the server says them.

    Where the server says neither of the first two, the SHA-256 of all that is there.
    """
    with _asked(url, "HEAD") as answer:
        said = _said(answer)
    if not any(line.startswith(_VALIDATORS) for line in said):
        digest = hashlib.sha256()
        with _asked(url, "GET") as answer:
            while chunk := answer.read(_CHUNK):
                digest.update(chunk)
        return [url, digest.hexdigest()]
    return [url, *said]


def _said(answer: HTTPResponse) -> list[str]:
    found = {name: answer.headers.get(name) for name in (*_VALIDATORS, "Content-Length")}
    if answer.status == 206:  # a part, whose own length says nothing
        found["Content-Length"] = (answer.headers.get("Content-Range") or "").rpartition("/")[2] or None
    return [f"{name}: {value}" for name, value in found.items() if value]


def download(url: str, path: str) -> None:
    """Writes what is at an address into a file.

    Raises:
        OSError: where it cannot be had, or ends too early.
    """
    with _asked(url, "GET") as answer, open(path, "wb") as file:  # noqa: PTH123
        shutil.copyfileobj(answer, file, _CHUNK)
        length, had = answer.headers.get("Content-Length"), file.tell()
    if length is not None and had != int(length):
        raise OSError(f"{had:,} of {length} bytes came")


@contextmanager
def _asked(url: str, method: str) -> Iterator[HTTPResponse]:
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
    """Where the archive is: https://www.tensorflow.org/hub/hosting says how it is asked for by another address."""
    parts = urlsplit(url)
    if parts.path.endswith(ARCHIVES):
        return url
    query = "&".join(filter(None, [parts.query, "tf-hub-format=compressed"]))
    return parts._replace(query=query).geturl()
