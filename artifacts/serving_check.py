"""Result of the check of an exported model on a server."""

from typing import Literal

from hubline.core import storage
from hubline.core.config_base import Section

FILE = "serving_check.json"
"""Name in the artifact `serving_check`."""

_MB = 1 << 20

Api = Literal["rest", "grpc"]


class Comparison(Section):
    """Answers of the server to one kind of request, compared with those of the trained model."""

    api: Api
    method: Literal["predict", "classify", "regress"]
    signature: str
    form: Literal["rows", "columns", "examples", "tensors"]
    """What the request holds: JSON rows or columns, tf.Examples, or the tensors of gRPC."""
    batch: int
    """Records in each request."""
    records: int
    """Records that were compared."""
    difference: float | None
    """Greatest difference of a score, of a coordinate, or of a number in standard deviations; None if the answer can't
    be compared."""
    fault: str | None
    """Why the answers don't agree; None if they do."""


class Latency(Section):
    """Times of requests to the signature `predict`, as a client measures them."""

    api: Api
    batch: int
    """Records in each request."""
    requests: int
    p50_ms: float
    p99_ms: float
    """By nearest rank; of fewer than 100 requests, the longest."""

    @property
    def api_name(self) -> str:
        """The API as people call it."""
        return {"rest": "HTTP", "grpc": "gRPC"}[self.api]

    def __str__(self) -> str:
        many = "1 record" if self.batch == 1 else f"{self.batch} records"
        return f"requests of {many} over {self.api_name} take {self.p50_ms:.3g} ms (p50), {self.p99_ms:.3g} ms (p99)"


class ServingCheckResult(Section):
    """Whether a model may be pushed, with all that was measured."""

    passed: bool
    faults: tuple[str, ...]
    """Why it may not be pushed, one sentence each."""
    records: int
    """Records of the validation split that were sent."""
    tolerance: float
    comparisons: tuple[Comparison, ...] = ()
    load_seconds: float | None = None
    """Time in which the server loaded the model; None if it didn't."""
    start_seconds: float | None = None
    """Time from the start of the process until it answered, with the import of TensorFlow."""
    memory_bytes: int | None = None
    """Resident memory of the server after all requests."""
    latencies: tuple[Latency, ...] = ()
    bounds: dict[str, float] = {}
    """The bounds of `serving.check` by key, in seconds, bytes and milliseconds."""

    @classmethod
    def read(cls, artifact: str) -> "ServingCheckResult":
        """The result in an artifact."""
        return cls.model_validate_json(storage.read_bytes(f"{artifact}/{FILE}"))

    def write(self, artifact: str) -> None:
        """Writes the result into an artifact."""
        storage.write_text(f"{artifact}/{FILE}", self.model_dump_json(indent=2))

    @property
    def difference(self) -> float | None:
        """The greatest difference of all; None if some answers can't be compared."""
        found = [each.difference for each in self.comparisons]
        return None if None in found or not found else max(each for each in found if each is not None)

    @property
    def summary(self) -> tuple[str, ...]:
        """What was found, one sentence each; nothing of what could not be measured."""
        found = list(self.faults)
        if self.passed:
            found.append(
                f"a server answers {self.records} records of the validation split as the trained model does: the "
                f"greatest difference is {self.difference or 0.0:.2g} (at most {self.tolerance:g})"
            )
        if self.load_seconds is not None and self.memory_bytes is not None:
            loaded, memory = f"{self.load_seconds:.3g} s", f"{self.memory_bytes / _MB:,.0f} MiB"
            found.append(f"the server loaded the model in {loaded}, and has {memory} of resident memory")
        found += [str(latency) for latency in self.latencies]
        return tuple(found)
