"""What ExampleGen does when it runs."""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components.config import SPLITS, HashSplit
from components.example_gen.contract import Contract
from components.example_gen.ingest import Ingested, Shard, ingest
from components.example_gen.manifest import Manifest
from components.pin.pins import Files
from preprocessing.errors import DataError


class Executor(base_beam_executor.BaseBeamExecutor):
    """Ingests each file as a shard of its own, so that nothing is reshuffled."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills the `examples` artifact: GZIP TFRecords in `Split-<name>/`, and `manifest.json`."""
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        artifact.split_names = artifact_utils.encode_split_names(list(SPLITS))
        examples_utils.set_payload_format(artifact, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(artifact, "tfrecords_gzip")
        for split in SPLITS:
            fileio.makedirs(artifact_utils.get_split_uri([artifact], split))

        files = Files.model_validate_json(exec_properties["files"])
        shares = HashSplit.model_validate_json(exec_properties["split"]) if exec_properties["split"] else None
        contract = Contract.model_validate_json(exec_properties["contract"])
        shards = list(_shards(files, shares, contract, artifact))

        ingested = self._ingest(shards)
        _refuse_mixed(ingested)
        counts = {split: sum(file.counts.get(split, 0) for file in ingested) for split in SPLITS}
        _refuse_empty(counts, shares)
        sources = tuple(shard.path for shard in shards)
        Manifest(sources=sources, images=contract.images, counts=counts).write(artifact.uri)

    def _ingest(self, shards: list[Shard]) -> list[Ingested]:
        lines = f"{self._get_tmp_dir()}/ingested"
        try:
            with self._make_beam_pipeline() as pipeline:
                (
                    pipeline
                    | "Files" >> beam.Create(shards)
                    | "Spread" >> beam.Reshuffle()
                    | "Ingest" >> beam.Map(ingest)
                    | "Line" >> beam.Map(Ingested.to_property)
                    | "Write" >> beam.io.WriteToText(lines, num_shards=1, shard_name_template="")
                )
        except DataError as error:
            # Beam adds the name of its transform to the message of whatever is raised in one.
            raise DataError(str(error).removesuffix(" [while running 'Ingest']")) from error
        with fileio.open(lines, "r") as file:
            return [Ingested.model_validate_json(line) for line in file]


def _shards(files: Files, split: HashSplit | None, contract: Contract, artifact: Any) -> Iterable[Shard]:
    for group, pinned in files.by_split.items():
        for number, file in enumerate(pinned):
            name = f"data-{number:05d}-of-{len(pinned):05d}.gz"
            targets = {
                target: f"{artifact_utils.get_split_uri([artifact], target)}/{name}"
                for target in (SPLITS if split else (group,))
            }
            yield Shard(path=file.path, targets=targets, split=split, contract=contract)


def _refuse_mixed(ingested: list[Ingested]) -> None:
    by_type = {file.label_type: file.path for file in ingested if file.label_type}
    if len(by_type) > 1:
        raise DataError(f"the labels are integers in {by_type['int64']}, and strings in {by_type['string']}")


def _refuse_empty(counts: dict[str, int], split: HashSplit | None) -> None:
    empty = [name for name in SPLITS if not counts[name]]
    if empty:
        got = ", ".join(f"{name} {counts[name]}" for name in SPLITS)
        mend = (
            "give more data or other shares in data.split"
            if split
            else "the files that data.split names hold no record"
        )
        raise DataError(f"the split '{empty[0]}' is empty ({got} records): {mend}")
