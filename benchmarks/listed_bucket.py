"""An S3 server on loopback that counts requests and delays its answers, as a server far away does.

Its bucket may begin as a mere listing, so that a hundred thousand objects cost nothing. ListObjectsV2 gives a thousand
objects a page, as Amazon's does. Objects that are written have their content.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "listed"
KEYS = {
    "AWS_ACCESS_KEY_ID": "hubline",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Credentials that the server takes."""
SIZE = 100 << 20
"""Size in bytes of every object that was not written."""
_PAGE = 1000
_WRITTEN = "2026-11-30T03:00:00.{}Z"


class ListedBucket:
    """The objects, and the requests that the server got."""

    def __init__(self, keys: Sequence[str], latency: float = 0.0) -> None:
        """Makes a bucket.

        Args:
            keys: Names of its objects.
            latency: Seconds that each answer takes.
        """
        self._keys = sorted(keys)
        self._latency = latency
        self._written: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self.requests: list[str] = []

    def answer(self, method: str, path: str, content: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content of the answer to a request."""
        self.requests.append(f"{method} {path}")
        time.sleep(self._latency)
        url = urlsplit(path)
        key = unquote(url.path).removeprefix(f"/{BUCKET}").strip("/")
        with self._lock:
            place = bisect_left(self._keys, key)
            is_there = self._keys[place : place + 1] == [key]
            if not key and "list-type" in url.query:
                asked = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
                return 200, {}, self._page(asked).encode()
            if method == "PUT":
                self._written[key] = content
                if not is_there:
                    self._keys.insert(place, key)
            elif method == "DELETE" and is_there:
                del self._keys[place]
                self._written.pop(key, None)
            elif key and not is_there:
                return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>" if method == "GET" else b""
            # The same object as in the listing, but its time is in whole seconds.
            headers = {"ETag": _etag(key), "Last-Modified": "Mon, 30 Nov 2026 03:00:00 GMT"}
            if method == "HEAD":
                headers["Content-Length"] = str(self._size(key))
            return 200, headers, self._written.get(key, b"") if method == "GET" else b""

    def _size(self, key: str) -> int:
        return len(self._written[key]) if key in self._written else SIZE

    def _page(self, asked: dict[str, str]) -> str:
        prefix, delimiter = asked.get("prefix", ""), asked.get("delimiter", "")
        most = int(asked.get("max-keys", _PAGE))
        entries: list[str] = []
        place = bisect_left(self._keys, max(prefix, asked.get("continuation-token", "")))
        while place < len(self._keys) and self._keys[place].startswith(prefix) and len(entries) < most:
            key = self._keys[place]
            folder = prefix + key[len(prefix) :].partition(delimiter)[0] + delimiter if delimiter else key
            if delimiter and folder != key + delimiter:
                entries.append(f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>")
                place = bisect_left(self._keys, folder[:-1] + chr(ord(folder[-1]) + 1))
            else:
                entries.append(_entry(key, self._size(key)))
                place += 1
        more = place < len(self._keys) and self._keys[place].startswith(prefix)
        token = f"<NextContinuationToken>{escape(self._keys[place])}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(entries)}</KeyCount>"
            f"<MaxKeys>{most}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{token}{''.join(entries)}"
            "</ListBucketResult>"
        )


def _etag(key: str) -> str:
    return f'"{md5(key.encode()).hexdigest()}"'


def _entry(key: str, size: int) -> str:
    written = _WRITTEN.format(f"{len(key) % 1000:03d}")  # MinIO lists fractions of seconds
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{written}</LastModified><ETag>{escape(_etag(key))}</ETag>"
        f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


@contextmanager
def serving(bucket: ListedBucket) -> Iterator[str]:
    """Serves a bucket in a thread; yields the server's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer would wait for the client's acknowledgement

        def do_GET(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = bucket.answer(self.command, self.path, sent)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_HEAD = do_PUT = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
