"""Ingests one file as the step ExampleGen does, and reads the result."""

from pathlib import Path

import tensorflow as tf

from hubline.artifacts.pins import PinnedFile
from hubline.artifacts.quarantine import FILE, QuarantinedRecord, read_quarantine
from hubline.artifacts.splits import SPLITS
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.ingest import ingest
from hubline.components.example_gen.ingest_job import QUARANTINE, IngestResult, Job
from hubline.core import storage
from hubline.core.digest import file_digest
from hubline.preprocessing.config import Features, ImageFeature
from tests.support import example_data

CONTRACT = Contract(images=("image",), label="label", classes=("dark", "light"))


FEATURES: Features = {"image": ImageFeature(kind="image", size=(8, 8))}
PNG = example_data.random_image(0)


def job(path: Path, split: HashSplit | None = HashSplit(), policy: str = "fail") -> Job:  # noqa: B008 - frozen
    stat = storage.stat(str(path))
    file = PinnedFile(path=str(path), size=stat.size, modified=stat.modified)
    return Job(file=file, group="all" if split else "train", split=split, contract=CONTRACT, policy=policy)


def ingest_to(folder: Path, task: Job) -> tuple[IngestResult, dict[str, list[bytes]], list[QuarantinedRecord]]:
    """The result for a file, the records in each file written, and the list of quarantined records."""
    folder.mkdir(exist_ok=True)
    ingested = ingest(task, str(folder))
    names = [name for name in (*SPLITS, QUARANTINE) if (folder / name).exists()]
    written = {name: example_data.read_tfrecord(folder / name, ingested.compression) for name in names}
    assert ingested.quarantined_records == len(written.get(QUARANTINE, []))
    for part in ingested.parts:
        assert part.count == len(written[part.split])
        assert part.largest == max(map(len, written[part.split]), default=0)
        assert part.digest == file_digest(f"{folder}/{part.split}")
    return ingested, written, list(read_quarantine(f"{folder}/{FILE}"))


def columns_in(record: bytes) -> dict[str, list]:
    return {name: contract_values(of) for name, of in tf.train.Example.FromString(record).features.feature.items()}


def contract_values(feature: tf.train.Feature) -> list:
    return list(getattr(feature, feature.WhichOneof("kind")).value)
