"""The part of Flink's REST API that Hubline asks."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FlinkRest:
    """A Flink with jobs whose ids are their names."""

    def __init__(self, names: Sequence[str]) -> None:
        """A Flink with the jobs of a list, which may grow."""
        self._names = names
        self.free = 1
        self.stages: list[str] | None = None
        """States of each job's stages; by default, of one that waits for a slot unless one is free."""
        self.cancelled: list[str] = []
        self.left = 0
        """How many more times the stages are asked for before `then` is called."""
        self.then: Callable[[], object] = lambda: None
        self.address = ""

    def answer(self, path: str) -> Any:
        if path == "/config":
            return {"flink-version": "1.19.3"}
        if path == "/overview":
            return {"slots-available": self.free, "slots-total": 2, "taskmanagers": 1}
        if path == "/jobs/overview":
            return {"jobs": [{"jid": name, "name": name, "state": self._state(name)} for name in self._names]}
        self.left -= 1
        if self.left == 0:
            self.then()
        stages = self.stages or ["RUNNING" if self.free else "SCHEDULED"]
        return {"vertices": [{"status": status} for status in stages]}

    def _state(self, name: str) -> str:
        return "CANCELED" if name in self.cancelled else "RUNNING"

    @contextmanager
    def serving(self) -> Iterator["FlinkRest"]:
        rest = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = json.dumps(rest.answer(self.path)).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def do_PATCH(self) -> None:
                rest.cancelled.append(self.path.removeprefix("/jobs/").partition("?")[0])
                self.send_response(202)
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        with ThreadingHTTPServer(("localhost", 0), Handler) as server:
            self.address = f"localhost:{server.server_port}"
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
            yield self
            server.shutdown()
