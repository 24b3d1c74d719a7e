"""Figures of a server for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """The figures, in a registry of their own, so that several servers can be in one process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter("hubline_requests", "Answered requests.", ["api", "method", "code"], registry=registry)
        self.seconds = Histogram(
            "hubline_request_seconds",
            "Time from request to answer.",
            ["api", "method"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.waiting = Gauge("hubline_waiting_requests", "Requests in the queue.", registry=registry)
        self.batch_rows = Histogram("hubline_batch_rows", "Examples in a batch.", buckets=_ROWS, registry=registry)
        self.version = Gauge(
            "hubline_model_version_available",
            "1 for each version that answers.",
            ["model", "version"],
            registry=registry,
        )
        self.loads = Counter(
            "hubline_model_loads", "Versions loaded, by result.", ["model", "result"], registry=registry
        )

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self._registry)
