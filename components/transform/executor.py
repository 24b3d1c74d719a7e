"""What Transform does when it runs."""

import json
from typing import Any

import apache_beam as beam
from tfx.components.transform import executor
from tfx.types import artifact_utils, standard_component_specs

from components.artifacts import read_schema
from components.example_gen.manifest import Manifest
from components.transform.shard import Shard, accumulate, answers
from preprocessing.transform import ANSWERS

STORE = "store"
"""Under what `custom_config` names the store."""


class Executor(executor.Executor):
    """Answers what the features ask of the training split; TFX makes the graph, with nothing left to compute."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `transform_graph`."""
        config = json.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY])
        store = config.pop(STORE)
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
        vocabularies = f"{self._get_tmp_dir()}/vocabularies"
        config[ANSWERS] = answers(shards, vocabularies).model_dump()
        known = exec_properties | {standard_component_specs.CUSTOM_CONFIG_KEY: json.dumps(config)}
        super().Do(input_dict, output_dict, known)
