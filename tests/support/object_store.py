"""An object store for tests: an HTTP server on loopback, and its file system for fsspec.

It has what the weakest object stores have: objects appear complete or not at all, listings show all earlier writes, and
there are neither renames nor empty folders nor conditional writes.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, unquote
from urllib.request import Request, urlopen

import fsspec


class _Handler(BaseHTTPRequestHandler):
    objects: dict[str, tuple[bytes, int]]
    lock: threading.Lock

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            self.objects[unquote(self.path)] = content, time.time_ns()
        self._answer(200)

    def do_GET(self) -> None:
        path = unquote(self.path)
        with self.lock:
            if path.endswith("*"):
                sizes = {name: len(found[0]) for name, found in self.objects.items() if name.startswith(path[:-1])}
                return self._answer(200, json.dumps(sizes).encode())
            found = self.objects.get(path)
        return self._answer(200, *found) if found else self._answer(404)

    def do_DELETE(self) -> None:
        with self.lock:
            found = self.objects.pop(unquote(self.path), None)
        self._answer(200 if found else 404)

    def _answer(self, status: int, content: bytes = b"", modified: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Modified", str(modified))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served() -> Iterator[int]:
    """Serves a new store; yields its port."""
    handler = type("Handler", (_Handler,), {"objects": {}, "lock": threading.Lock()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _ask(method: str, path: str, content: bytes | None = None) -> tuple[bytes, int]:
    port, _, key = path.partition("/")
    try:
        request = Request(f"http://127.0.0.1:{port}/{quote(key)}", content, method=method)
        with urlopen(request, timeout=60) as answer:
            return answer.read(), int(answer.headers["Modified"])
    except HTTPError as error:
        raise FileNotFoundError(path) from error


def _time(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc)


class _Writer(BytesIO):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            _ask("PUT", self._path, self.getvalue())
        super().close()


class StoreFileSystem(fsspec.AbstractFileSystem):
    """`store://PORT/KEY`."""

    protocol = "store"
    cachable = False

    def find(self, path: str, **_: Any) -> list[str]:
        port, _, key = path.partition("/")
        return [f"{port}{name}" for name in json.loads(_ask("GET", f"{port}/{key.rstrip('/')}/*")[0])]

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        start = len(path.rstrip("/")) + 1
        names = sorted({f"{path.rstrip('/')}/{below[start:].partition('/')[0]}" for below in self.find(path)})
        return [self.info(name) for name in names] if detail else names

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        try:
            content, modified = _ask("GET", path)
        except FileNotFoundError:
            if not self.find(path):
                raise
            return {"name": path, "size": 0, "type": "directory"}
        return {"name": path, "size": len(content), "type": "file", "mtime": _time(modified)}

    def _open(self, path: str, mode: str = "rb", *_: Any, **__: Any) -> Any:
        return _Writer(path) if mode == "wb" else BytesIO(_ask("GET", path)[0])

    def rm_file(self, path: str) -> None:
        _ask("DELETE", path)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        _ask("PUT", path2, _ask("GET", path1)[0])


def mount() -> None:
    """Makes this process read `store://`."""
    fsspec.register_implementation("store", StoreFileSystem, clobber=True)
