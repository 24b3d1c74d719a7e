"""Measures how long requests take."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hubline.artifacts.serving_check import Latency
from hubline.core import interruption
from hubline.serving.check.clients import Clients
from hubline.serving.check.requests import Request

REQUESTS = 100
"""Requests of a measurement: with fewer, no 99th percentile."""
_FEWEST, _SECONDS = 5, 10.0
"""A measurement ends early after these seconds, but not before these requests."""
_REPEATS = 2
"""How often a latency over its bound is measured again: other programs on the machine make requests slower, never
faster."""


def measure(
    given: Clients, requests: Sequence[Request], is_within: Callable[[Latency], bool]
) -> tuple[Latency, list[Any]]:
    """Sends requests one after the other, again and again.

    Args:
        given: Connections to the server.
        requests: Requests of the same kind.
        is_within: Whether a latency is within its bounds. One that isn't is measured again.

    Returns:
        The lowest latency that was measured, and the first answer to each request that was sent.
    """
    best, answers = _once(given, requests)
    for _ in range(_REPEATS):
        if is_within(best):
            break
        again, _unused = _once(given, requests)
        best = best.model_copy(
            update={"p50_ms": min(best.p50_ms, again.p50_ms), "p99_ms": min(best.p99_ms, again.p99_ms)}
        )
    return best, answers


def _once(given: Clients, requests: Sequence[Request]) -> tuple[Latency, list[Any]]:
    seconds: list[float] = []
    answers: list[Any] = []
    end = time.perf_counter() + _SECONDS
    while len(seconds) < REQUESTS and (len(seconds) < _FEWEST or time.perf_counter() < end):
        interruption.check()
        begin = time.perf_counter()
        answer = requests[len(seconds) % len(requests)].send(given)
        seconds.append(time.perf_counter() - begin)
        if len(answers) < len(requests):
            answers.append(answer)
    p50, p99 = np.percentile(seconds, [50, 99], method="inverted_cdf") * 1000
    latency = Latency(
        api=requests[0].api,
        batch=requests[0].records,
        requests=len(seconds),
        p50_ms=round(p50, 3),
        p99_ms=round(p99, 3),
    )
    return latency, answers
