"""What Transform does when it runs."""

import json
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
from tfx.components.transform import executor
from tfx.types import artifact_utils, standard_component_specs

from components import storage
from components.artifacts import read_schema
from components.example_gen.manifest import Manifest
from components.transform.shard import Shard, accumulate, answers
from components.vocabulary import read_vocabulary
from preprocessing.config import Features, vocabulary_files
from preprocessing.errors import DataError
from preprocessing.kinds.categorical import vocabulary_name
from preprocessing.transform import ANSWERS, TransformConfig

STORE, VOCABULARIES = "store", "vocabularies"
"""Under what `custom_config` names the store, and has the digest of each vocabulary that is a file, by feature."""


class Executor(executor.Executor):
    """Answers what the features ask of the training split; TFX makes the graph, with nothing left to compute."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `transform_graph`.

        Raises:
            DataError: where a vocabulary is not the one that was pinned.
        """
        config = json.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        store, digests = config.pop(STORE), config.pop(VOCABULARIES)
        vocabularies = f"{self._get_tmp_dir()}/vocabularies"
        given = _copied(TransformConfig.model_validate(config).features, digests, vocabularies)
        examples = artifact_utils.get_single_instance(input_dict[standard_component_specs.EXAMPLES_KEY])
        schema = read_schema(input_dict[standard_component_specs.SCHEMA_KEY]).SerializeToString()
        folder = artifact_utils.get_split_uri([examples], "train")
        shards = [
            Shard(f"{folder}/{file.name}", file.digest, json.dumps(config, sort_keys=True), schema, store)
            for file in Manifest.read(examples.uri).of("train")
            if file.count
        ]
        fresh = [shard for shard in shards if not shard.is_done]
        if fresh:
            with self._make_beam_pipeline() as pipeline:
                pipeline | beam.Create(fresh) | beam.Reshuffle() | beam.Map(accumulate)
        known = answers(shards, vocabularies)
        config[ANSWERS] = known.model_copy(update={"vocabularies": known.vocabularies | given}).model_dump()
        configured = exec_properties | {standard_component_specs.CUSTOM_CONFIG_KEY: json.dumps(config)}
        super().Do(input_dict, output_dict, configured)


def _copied(features: Features, digests: Mapping[str, str], folder: str) -> dict[str, str]:
    """Copies of the vocabularies that are files, each with a name that is its own in the graph's assets, by that name.

    Raises:
        DataError: where one is not the one that was pinned.
    """
    copies = {}
    for feature, file in vocabulary_files(features).items():
        words, digest = read_vocabulary(file)
        if digest != digests[feature]:
            raise DataError(f"{file.file}: the vocabulary has changed since the run began; run again")
        name = vocabulary_name(feature)
        copies[name] = f"{folder}/{name}"
        storage.write_bytes(copies[name], b"".join(b"%b\n" % word for word in words))
    return copies
