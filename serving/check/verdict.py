"""Whether a model may be pushed, from what was measured."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from hubline.artifacts.serving_check import Comparison, Latency, ServingCheckResult
from hubline.core.quantity import amount
from hubline.serving.check.config import Percentiles, ServingCheck

_MB = 1 << 20
_LATENCY = "max_latency_ms.batch_{batch}.{percentile}"


@dataclass
class Measured:
    """What was measured so far."""

    config: ServingCheck
    records: int
    comparisons: list[Comparison] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    load_seconds: float | None = None
    start_seconds: float | None = None
    memory_bytes: int | None = None
    faults: list[str] = field(default_factory=list)
    """Why the server didn't answer to the end."""

    def is_within(self, latency: Latency) -> bool:
        """Whether a latency is within its bounds."""
        return not any(_slow(latency, bounds_of(self.config)))

    def result(self) -> ServingCheckResult:
        """The verdict."""
        bounds = bounds_of(self.config)
        faults = [*self.faults, *_disagreements(self.comparisons), *self._exceeded(bounds)]
        return ServingCheckResult(
            passed=not faults,
            faults=tuple(faults),
            records=self.records,
            tolerance=self.config.tolerance,
            comparisons=tuple(self.comparisons),
            load_seconds=None if self.load_seconds is None else round(self.load_seconds, 3),
            start_seconds=None if self.start_seconds is None else round(self.start_seconds, 3),
            memory_bytes=self.memory_bytes,
            latencies=tuple(self.latencies),
            bounds=bounds,
        )

    def _exceeded(self, bounds: dict[str, float]) -> Iterator[str]:
        seconds, memory = bounds.get("max_load_seconds"), bounds.get("max_memory")
        if seconds is not None and self.load_seconds is not None and self.load_seconds > seconds:
            yield f"the server loaded the model in {self.load_seconds:.3g} s (max_load_seconds: {seconds:g})"
        if memory is not None and self.memory_bytes is not None and self.memory_bytes > memory:
            yield (
                f"the server has {self.memory_bytes / _MB:,.0f} MiB of resident memory "
                f"(max_memory: {self.config.max_memory})"
            )
        for latency in self.latencies:
            yield from _slow(latency, bounds)


def bounds_of(config: ServingCheck) -> dict[str, float]:
    """The bounds that the file sets, by key: seconds, bytes and milliseconds."""
    found = {"max_load_seconds": config.max_load_seconds}
    found["max_memory"] = None if config.max_memory is None else amount(config.max_memory)
    for batch, bound in ((1, config.max_latency_ms.batch_1), (32, config.max_latency_ms.batch_32)):
        found |= _of_percentiles(batch, bound)
    return {key: value for key, value in found.items() if value is not None}


def _of_percentiles(batch: int, bound: Percentiles) -> dict[str, float | None]:
    return {
        _LATENCY.format(batch=batch, percentile="p50"): bound.p50,
        _LATENCY.format(batch=batch, percentile="p99"): bound.p99,
    }


def _slow(latency: Latency, bounds: dict[str, float]) -> Iterator[str]:
    for percentile, value in (("p50", latency.p50_ms), ("p99", latency.p99_ms)):
        key = _LATENCY.format(batch=latency.batch, percentile=percentile)
        if key in bounds and value > bounds[key]:
            plural = "s" if latency.batch > 1 else ""
            yield (
                f"{percentile} of {latency.requests} requests of {latency.batch} record{plural} over "
                f"{_NAMES[latency.api]} is {value:.3g} ms ({key}: {bounds[key]:g})"
            )


_NAMES = {"rest": "HTTP", "grpc": "gRPC"}


def _disagreements(comparisons: list[Comparison]) -> Iterator[str]:
    """A sentence for each distinct fault, with the first request that shows it."""
    seen = set[str]()
    for each in comparisons:
        if each.fault and each.fault not in seen:
            seen.add(each.fault)
            plural = "s" if each.batch > 1 else ""
            yield (
                f"the server doesn't answer as the trained model does ({_NAMES[each.api]}, signature "
                f"'{each.signature}', {each.form} of {each.batch} record{plural}): {each.fault}"
            )
