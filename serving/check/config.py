"""Type of the section `serving.check`. Imports no TensorFlow."""

from pydantic import Field

from hubline.core.config_base import Section
from hubline.core.quantity import Quantity


class Percentiles(Section):
    """Bounds on the time of a request in milliseconds."""

    p50: float | None = Field(default=None, gt=0, examples=[20])
    """Greatest median."""
    p99: float | None = Field(default=None, gt=0, examples=[100])
    """Greatest 99th percentile."""


class MaxLatency(Section):
    """Bounds on the time of a request, by the number of records in it."""

    batch_1: Percentiles = Percentiles()
    """Requests of one record."""
    batch_32: Percentiles = Percentiles()
    """Requests of 32 records."""


class ServingCheck(Section):
    """The check of the exported model on a server, before a push."""

    enabled: bool = True
    """Whether to check. Without the check, models that no server can load, or that answer differently there, are
    pushed. With `push: false`, nothing is checked."""
    tolerance: float = Field(default=1e-3, ge=0, le=1)
    """Greatest difference between an answer of the server and that of the trained model: for scores and boxes as they
    are, for predicted numbers in standard deviations. The default leaves room for other kernels, batch sizes and cached
    vectors in float32, and for TensorFloat-32 on a GPU; a wrong preprocessing or wrong weights differ by more."""
    max_load_seconds: float | None = Field(default=None, gt=0, examples=[30])
    """Longest time in which the server loads the model."""
    max_memory: Quantity | None = Field(default=None, examples=["2Gi"])
    """Most resident memory of the server after all requests, as a Kubernetes quantity. About 600Mi are those of Python
    and TensorFlow."""
    max_latency_ms: MaxLatency = MaxLatency()
    """Longest times of requests over HTTP and over gRPC, in milliseconds."""
    timeout_seconds: float = Field(default=600, gt=0, le=86_400)
    """Longest time for the whole check. A server that has not started or answered by then fails it."""
