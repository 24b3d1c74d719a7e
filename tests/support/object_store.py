"""An object store for tests: an HTTP server on loopback, and its file system for TFX.

It has what S3 and Google Cloud Storage have: objects are there whole or not at all, listings show what was written
before, and there is neither a rename nor an empty folder.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, unquote
from urllib.request import Request, urlopen

from tfx.dsl.io import fileio, filesystem, filesystem_registry

from hubline.core import storage


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
                names = [name for name in self.objects if name.startswith(path[:-1])]
                return self._answer(200, json.dumps(names).encode())
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
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _ask(method: str, path: str, content: bytes | None = None) -> tuple[bytes, int]:
    port, _, key = path.removeprefix("store://").partition("/")
    try:
        request = Request(f"http://127.0.0.1:{port}/{quote(key)}", content, method=method)
        with urlopen(request, timeout=60) as answer:
            return answer.read(), int(answer.headers["Modified"])
    except HTTPError as error:
        raise FileNotFoundError(path) from error


class _Writer(BytesIO):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def close(self) -> None:
        if not self.closed:
            _ask("PUT", self._path, self.getvalue())
        super().close()


class StoreFilesystem(filesystem.Filesystem):
    """`store://PORT/KEY`, as TFX's `fileio` takes file systems."""

    SUPPORTED_SCHEMES = ("store://",)

    @staticmethod
    def _below(path: str) -> list[str]:
        listed = json.loads(_ask("GET", f"{path.rstrip('/')}/*")[0])
        prefix = path.removeprefix("store://").partition("/")[0]
        return [f"store://{prefix}{name}" for name in listed]

    @staticmethod
    def open(path: str, mode: str = "r") -> Any:
        return _Writer(path) if "w" in mode else BytesIO(_ask("GET", path)[0])

    @classmethod
    def exists(cls, path: str) -> bool:
        try:
            _ask("GET", path)
        except FileNotFoundError:
            return cls.isdir(path)
        return True

    @classmethod
    def isdir(cls, path: str) -> bool:
        return bool(cls._below(path))

    @classmethod
    def listdir(cls, path: str) -> list[str]:
        start = len(path.rstrip("/")) + 1
        return sorted({below[start:].partition("/")[0] for below in cls._below(path)})

    @classmethod
    def walk(cls, top: str, topdown: bool = True, onerror: Any = None) -> Any:
        for path in cls._below(top):
            folder, _, name = path.rpartition("/")
            yield folder, [], [name]

    @staticmethod
    def stat(path: str) -> Any:
        content, modified = _ask("GET", path)
        return SimpleNamespace(length=len(content), mtime_nsec=modified)

    @staticmethod
    def makedirs(path: str) -> None:
        pass

    @staticmethod
    def remove(path: str) -> None:
        _ask("DELETE", path)


def mount() -> None:
    """Has this process read `store://`."""
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(StoreFilesystem, priority=0)
    storage._fileio = lambda _: fileio  # which holds URLs to TensorFlow's schemes
