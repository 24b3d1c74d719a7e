"""`python -m benchmarks [MEASURE…]`: runs benchmarks, prints their table and writes the results."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmarks import (
    digits,
    evaluation,
    housing,
    ingestion,
    input_path,
    memory,
    photographs,
    scale,
    serve,
    spans,
    tables,
    taxi,
    training,
    tuning,
)
from benchmarks.harness import WORK, Bench, Failed
from benchmarks.results import Measured, Row, as_json, as_markdown, machine

MEASURES = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        digits,
        training,
        tuning,
        spans,
        ingestion,
        input_path,
        evaluation,
        memory,
        taxi,
        housing,
        tables,
        photographs,
        scale,
        serve,
    )
}


def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEASURE]...", help=f"Any of {', '.join(MEASURES)}; by default all.", show_default=False
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of runs of each contestant.")] = 2,
    quick: Annotated[bool, typer.Option("--quick", help="Use a tenth of the data, to try out the benchmarks.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for RESULTS.md and results.json; by default benchmarks/ for a full run, otherwise "
            "benchmarks/.work/."
        ),
    ] = None,
) -> None:
    """Benchmark Hubline against stock TFX and plain TensorFlow code. Exits with code 1 if a benchmark failed.

    Example: python -m benchmarks ingestion evaluation --quick
    """
    unknown = sorted(set(names or ()) - MEASURES.keys())
    if unknown:
        raise typer.BadParameter(f"unknown benchmark '{unknown[0]}'; known: {', '.join(MEASURES)}")
    console = Console()
    folder = output or (WORK if names or quick else WORK.parent)
    folder.mkdir(parents=True, exist_ok=True)
    where = machine(" ".join(["python -m benchmarks", *sys.argv[1:]]))
    measured: list[Measured] = []
    for name in names or MEASURES:
        measured.append(_measure(name, rounds, quick, console))
        # After each benchmark, so that an interrupted run leaves its results.
        (folder / "RESULTS.md").write_text(as_markdown(measured, where))
        (folder / "results.json").write_text(as_json(measured, where))
    console.print(f"{folder / 'RESULTS.md'}", soft_wrap=True, highlight=False)
    raise typer.Exit(any(measure.failure for measure in measured))


def _measure(name: str, rounds: int, quick: bool, console: Console) -> Measured:
    module = MEASURES[name]
    columns = SpinnerColumn(), TextColumn(f"{name}: {{task.description}}"), TimeElapsedColumn()
    begin = time.monotonic()
    rows: list[Row] = []
    failure = None
    with Progress(*columns, console=console, transient=True) as progress:
        bench = Bench(rounds, quick, progress)
        measure: Callable[[Bench], Iterator[Row]] = module.measure
        try:
            rows.extend(measure(bench))
        except Failed as error:  # the other benchmarks still run
            failure = str(error)
    seconds = time.monotonic() - begin
    _show(console, name, rows, failure, seconds)
    return Measured(name, " ".join((module.__doc__ or "").split()), rows, bench.samples, seconds, failure)


def _show(console: Console, name: str, rows: Sequence[Row], failure: str | None, seconds: float) -> None:
    table = Table(box=None, pad_edge=False, title=f"{name} ({seconds:.0f} s)", title_justify="left")
    for heading in ("", "this", "against", "that", "ratio", "bar"):
        table.add_column(heading)
    for row in rows:
        style = {None: "", True: "green", False: "red"}[row.reached]
        this, that = (f"{value:.1f} {row.unit}" for value in (row.value, row.other))
        table.add_row(row.what, this, row.against, that, f"{row.ratio:.2f}", str(row.bar or ""), style=style)
    console.print(table)
    if failure:
        console.print(failure, style="red", markup=False, highlight=False)


if __name__ == "__main__":
    typer.run(main)
