"""Start-up: from the start of the process until the first step begins.

`hubline run` beside the stock pipeline, both on the digits example; and `hubline run` until `pin`, its first word of
life, beside what `from tfx import v1` alone takes.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import Bench, best, fresh
from benchmarks.results import Row


def import_stock() -> None:
    """What every template begins with."""
    from tfx import v1  # noqa: F401


def measure(bench: Bench) -> Iterator[Row]:
    """Stops both pipelines after they have read the data."""

    def ours(number: int):
        folder = fresh(f"startup-ours-{number}")
        file = str(jobs.digits(folder))
        return bench.run("Hubline", "benchmarks.ours:run", file=file, root=f"{folder}/root", until="ExampleGen")

    def stock(number: int):
        folder = fresh(f"startup-stock-{number}")
        arguments = {"file": str(jobs.digits(folder)), "root": str(folder), "records": 900, "until": "ImportExampleGen"}
        return bench.run("stock", "benchmarks.stock.run:run", **arguments)

    taken = bench.alternate(
        {
            "ours": ours,
            "stock": stock,
            "import": lambda number: bench.run("from tfx import v1", "benchmarks.startup:import_stock"),
        }
    )
    first_step = best(taken["ours"], lambda sample: sample.start_up)
    pin = best(taken["ours"], lambda sample: sample.steps[0].begin)
    imported = best(taken["import"], lambda sample: sample.seconds)
    yield Row("start-up", first_step, "stock", best(taken["stock"], lambda sample: sample.start_up))
    yield Row("until `pin`", pin, "`from tfx import v1` alone", imported)
