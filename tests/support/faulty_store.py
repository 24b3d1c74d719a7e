"""A proxy before an object store's server that misbehaves for a number of tries of each request, and then recovers."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Misbehaviour = Literal["slow_down", "cut", "lost", "silent"]
"""503 SlowDown; half of the answer, then the end of the connection; a request that is carried out, but not answered; no
answer for some seconds, and then the end of the connection."""

SILENT_SECONDS = 3.0
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass
class Trouble:
    """How the proxy misbehaves from now on."""

    kinds: tuple[Misbehaviour, ...] = ("slow_down",)
    """Kinds of misbehaviour, in turn."""
    times: int = 0
    """How often a request meets the misbehaviour, until it is answered."""
    methods: tuple[str, ...] = ("GET", "PUT", "POST", "HEAD", "DELETE")
    one_in: int = 1
    """Of how many different requests one meets the misbehaviour."""
    met: list[str] = field(default_factory=list)
    """Requests that met the misbehaviour."""
    _seen: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, *kinds: Misbehaviour, times: int = 1, methods: tuple[str, ...] = methods, one_in: int = 1) -> None:
        """Begins to misbehave."""
        self.kinds, self.times, self.methods, self.one_in = kinds, times, methods, one_in
        self.met.clear()
        self._seen.clear()

    def end(self) -> None:
        """Answers from now on."""
        self.times = 0

    def meets(self, method: str, path: str) -> Misbehaviour | None:
        """What happens to a request; None if it is answered."""
        request = f"{method} {path}"
        with self._lock:
            if method not in self.methods or self.met.count(request) >= self.times:
                return None
            if request not in self._seen:
                self._seen.append(request)
            number = self._seen.index(request)
            if number % self.one_in:
                return None
            self.met.append(request)
            return self.kinds[number // self.one_in % len(self.kinds)]


@contextmanager
def proxied(address: str, trouble: Trouble) -> Iterator[str]:
    """Serves a proxy before a server; yields its address."""
    backend = urlsplit(address).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self._body()
            kind = trouble.meets(self.command, self.path)
            if kind == "slow_down":
                self._send(503, {"Content-Type": "application/xml"}, _SLOW_DOWN)
                return
            if kind == "silent":
                time.sleep(SILENT_SECONDS)
                self._hang_up()
                return
            status, headers, content = self._forwarded(body)
            if kind == "lost":
                self._hang_up()
            elif kind == "cut":
                self._send(status, headers, content, len(content) // 2)
                self._hang_up()
            else:
                self._send(status, headers, content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _answer

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return found

        def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection(backend, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            content = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
            if self.command == "HEAD" and (length := answer.getheader("Content-Length")):
                kept["Content-Length"] = length
            connection.close()
            return answer.status, kept, content

        def _send(self, status: int, headers: dict[str, str], content: bytes, sent: int | None = None) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[:sent])

        def _hang_up(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
