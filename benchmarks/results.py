"""Results as Markdown tables and as JSON."""

import dataclasses
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from benchmarks.harness import Sample

PACKAGES = ("tfx", "tensorflow", "apache-beam", "tensorflow-transform", "tensorflow-model-analysis", "tensorflow-hub")


@dataclass(frozen=True)
class Bar:
    """Target for a ratio."""

    kind: Literal["<=", ">="]
    ratio: float

    def __str__(self) -> str:
        """For example `≤ 0.5`."""
        return f"{'≤' if self.kind == '<=' else '≥'} {self.ratio:.3g}"


def at_most(ratio: float) -> Bar:
    """A maximum."""
    return Bar("<=", ratio)


def at_least(ratio: float) -> Bar:
    """A minimum."""
    return Bar(">=", ratio)


@dataclass(frozen=True)
class Row:
    """Comparison of two figures."""

    what: str
    value: float
    against: str
    """Description of the second figure."""
    other: float
    unit: str = "s"
    bar: Bar | None = None

    @property
    def ratio(self) -> float:
        """The first figure divided by the second."""
        return self.value / self.other

    @property
    def reached(self) -> bool | None:
        """Whether the unrounded ratio meets the target; None without a target."""
        if self.bar is None:
            return None
        return self.ratio <= self.bar.ratio if self.bar.kind == "<=" else self.ratio >= self.bar.ratio

    @property
    def verdict(self) -> str:
        """Whether the target is met, in words; empty without a target."""
        return {None: "", True: "reached", False: "**missed**"}[self.reached]


@dataclass(frozen=True)
class Measured:
    """Results of one benchmark."""

    name: str
    about: str
    """What is compared: the docstring of the benchmark's module."""
    rows: Sequence[Row]
    samples: Sequence[tuple[str, Sample]]
    seconds: float
    failure: str | None = None


def machine(command: str) -> dict[str, Any]:
    """Hardware, time, command and package versions."""
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "command": command,
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
        "memory_gb": round(memory, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def as_json(measured: Sequence[Measured], where: dict[str, Any]) -> str:
    """All figures, including those of each round and step."""
    measures = [
        dataclasses.asdict(measure)
        | {"rows": [dataclasses.asdict(row) | {"ratio": row.ratio, "reached": row.reached} for row in measure.rows]}
        for measure in measured
    ]
    return json.dumps({"machine": where, "measures": measures}, indent=1) + "\n"


def as_markdown(measured: Sequence[Measured], where: dict[str, Any]) -> str:
    """The page of results: the targets first, then a section per benchmark."""
    packages = ", ".join(f"{name} {version}" for name, version in where["packages"].items())
    bars = [(measure, row) for measure in measured for row in measure.rows if row.bar]
    parts = [
        "# Benchmarks\n",
        f"Written by `{where['command']}` on {where['date']}: Hubline beside the stock way and beside bare loops, "
        "taking turns in one run, each time in a fresh process. Of several rounds the best figure counts. Read the "
        "ratios, not the seconds.\n",
        f"{where['cores']} cores of {where['cpu']}, {where['memory_gb']} GB, {where['system']}, "
        f"Python {where['python']}, {packages}; load {where['load']} before it began.\n",
        _table(
            ["", "against", "ratio", "bar", ""],
            [[row.what, row.against, f"{row.ratio:.2f}", str(row.bar), row.verdict] for _, row in bars],
            right=(2, 3),
        ),
        *(
            f"**{measure.name} failed**, so bars are missing above; see there.\n"
            for measure in measured
            if measure.failure
        ),
        "CPU seconds are those of all cores together. Memory, in MB (2^20 bytes), is that of the whole process, "
        "libraries and all: what it held before a step, and the most while the step ran.\n",
        *(part for measure in measured for part in _section(measure)),
    ]
    return "\n".join(parts)


def _section(measure: Measured) -> Iterator[str]:
    yield f"## {measure.name}\n"
    yield f"{measure.about} It took {measure.seconds:.0f} s.\n"
    if measure.failure:
        yield f"It failed:\n\n```\n{measure.failure}\n```\n"
    yield _table(["", "this", "against", "that", "ratio", "bar"], list(map(_cells, measure.rows)), right=(1, 3, 4, 5))
    head = ["process", "step", "seconds", "CPU s", "MB before", "peak MB"]
    yield _table(head, list(_step_cells(measure)), right=(2, 3, 4, 5))


def _cells(row: Row) -> list[str]:
    this, that = (f"{value:.1f} {row.unit}" for value in (row.value, row.other))
    return [row.what, this, row.against, that, f"{row.ratio:.2f}", str(row.bar or "")]


def _step_cells(measure: Measured) -> Iterator[list[str]]:
    for name, sample in measure.samples:
        yield [name, "", f"{sample.seconds:.1f}", f"{sample.cpu:.1f}", "", f"{sample.peak:.0f}"]
        for step in sample.steps:
            what = f"{step.id} (cached)" if step.cached else step.id
            figures = f"{step.seconds:.1f}", f"{step.cpu:.1f}", f"{step.before:.0f}", f"{step.peak:.0f}"
            yield ["", what, *figures]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    rule = ["---:" if number in right else "---" for number in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows]) + "\n"
