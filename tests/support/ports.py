"""Ports for servers of tests."""

import socket


def free_port() -> int:
    """A port of this machine that no process uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
