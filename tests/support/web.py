"""A web server on this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """A server's responses, and the requests that it received."""

    def __init__(self) -> None:
        self.content = b""
        self.headers: dict[str, str] = {}
        self.refuses_head = False
        self.sent: int | None = None
        """Bytes of a response after which the server ends the connection; None for all of them."""
        self.asked: list[str] = []


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """A server on loopback; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            site.asked.append(f"HEAD {self.path}")
            self.send_response(405 if site.refuses_head else 200)
            self._finish(b"" if site.refuses_head else site.content)

        def do_GET(self) -> None:
            site.asked.append(f"GET {self.path}")
            if self.headers.get("Range") == "bytes=0-0":
                self.send_response(206)
                self.send_header("Content-Range", f"bytes 0-0/{len(site.content)}")
                self._finish(site.content[:1], written=True)
                return
            self.send_response(200)
            self._finish(site.content, written=True)

        def _finish(self, content: bytes, written: bool = False) -> None:
            for name, value in site.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if written:
                self.wfile.write(content[: site.sent])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
