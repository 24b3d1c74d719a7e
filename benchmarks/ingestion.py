"""Ingestion of clean TFRecords: megabytes of input per second, for the step alone.

Compares Hubline's ExampleGen with ImportExampleGen, both with the same three splits by hash, on the same eight
uncompressed TFRecord files in the page cache: images of about 75 KB, and small records of about 500 bytes. The step's
whole time counts on both sides, including Beam and ML Metadata. ImportExampleGen always writes GZIP; Hubline writes
uncompressed TFRecords, and validates each record against features and label.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import jobs
from benchmarks.harness import Bench, Sample, best, fresh
from benchmarks.results import Row, at_least


def measure(bench: Bench) -> Iterator[Row]:
    """Both types of records in turn."""
    jobs.make_modules(bench)
    pictures, small = bench.records(4_000), bench.records(200_000)
    yield _of("pictures", jobs.make_pictures(bench, pictures, 375, 500), pictures, bench)
    yield _of("small records", jobs.make_small_records(bench, small), small, bench)


def _of(what: str, data: Path, records: int, bench: Bench) -> Row:
    megabytes = sum(file.stat().st_size for file in data.iterdir()) / 1e6

    def ours(number: int) -> Sample:
        folder = fresh(f"ingestion-ours-{number}")
        file = str(jobs.write(folder, f"{data}/*.tfrecord", jobs.TRIVIAL_MODULE, size=224))
        root = f"{folder}/root"
        return bench.run(f"Hubline, {what}", "benchmarks.ours:run", file=file, root=root, until="ExampleGen")

    def stock(number: int) -> Sample:
        folder = fresh(f"ingestion-stock-{number}")
        file = str(jobs.write(folder, f"{data}/*.tfrecord", jobs.TRIVIAL_MODULE, size=224))
        arguments = {"file": file, "root": str(folder), "records": records, "until": "ImportExampleGen"}
        return bench.run(f"stock, {what}", "benchmarks.stock.run:run", **arguments)

    taken = bench.alternate({"ours": ours, "stock": stock})
    rate = megabytes / best(taken["ours"], lambda sample: sample.of("ExampleGen"))
    stock_rate = megabytes / best(taken["stock"], lambda sample: sample.of("ImportExampleGen"))
    return Row(f"ingestion, {what} ({megabytes:.0f} MB)", rate, "stock", stock_rate, "MB/s", at_least(5))
