"""StatisticsGen's executor."""

from functools import partial
from typing import Any

from tfx.types import artifact_utils

from hubline.artifacts.column_statistics import STATISTICS
from hubline.artifacts.examples import Manifest, ShardFile
from hubline.components.spread.executor import StageExecutor
from hubline.components.spread.stage import Stage
from hubline.components.spread.weights import DESCRIBED, IMAGES_DESCRIBED
from hubline.components.statistics_gen import shard as statistics_shard
from hubline.components.statistics_gen.columns import SourceFacts, refuse_mixed_types, write_non_finite
from hubline.components.statistics_gen.shard import Description, Shard, facts_of, merged
from hubline.core import storage
from hubline.core.code_digest import content_digest
from hubline.core.concurrency import in_order
from hubline.core.shard_cache import key


class Executor(StageExecutor):
    """Computes TFDV's statistics once per shard, and merges them.

    TFX's StatisticsGen recomputes them over all data in every run, in about fifty Beam stages, and counts the bytes of
    images as if they were words.
    """

    reads_one_shard = True

    def stage(self, input_dict: dict, exec_properties: dict[str, Any]) -> Stage[Shard]:
        """The statistics of all shards."""
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        manifest = Manifest.read(examples.uri)
        code = content_digest(statistics_shard.__name__, "tensorflow-data-validation", "tfx-bsl")
        describe = Description(opaque=(*manifest.images, *manifest.masks, *manifest.sounds))
        recipe = describe.recipe(code)
        shards = []
        for file in _files(manifest):
            path = f"{artifact_utils.get_split_uri([examples], file.split)}/{file.name}"
            counts = tuple(origin.count for origin in file.origins)
            shards.append(Shard(path, counts, key("described", file.digest, counts, recipe)))
        return Stage(
            name="statistics",
            unit="examples",
            tasks=shards,
            fill=describe,
            store=exec_properties["store"],
            weight=IMAGES_DESCRIBED if describe.opaque else DESCRIBED,
        )

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `statistics` with a DatasetFeatureStatisticsList per split, where TFX's own tools expect it.

        Raises:
            DataError: if a column has values of several types; names a file for each.
        """
        stage = self.stage(input_dict, exec_properties)
        self.run_stage(stage)

        manifest = Manifest.read(artifact_utils.get_single_uri(input_dict["examples"]))
        pairs = list(zip(_files(manifest), stage.tasks, strict=True))
        described = [
            SourceFacts(file.split, origin.file, facts)
            for file, of_file in zip(
                _files(manifest), in_order(partial(facts_of, stage.store), stage.tasks), strict=True
            )
            for origin, facts in zip(file.origins, of_file, strict=True)
        ]
        refuse_mixed_types(described)
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        statistics.split_names = artifact_utils.encode_split_names(list(manifest.splits))
        write_non_finite(statistics.uri, described)
        for split in manifest.splits:
            folder = artifact_utils.get_split_uri([statistics], split)
            of_split = [shard for file, shard in pairs if file.split == split]
            content = merged(stage.store, of_split).SerializeToString(deterministic=True)
            storage.write_bytes(f"{folder}/{STATISTICS}", content)


def _files(manifest: Manifest) -> list[ShardFile]:
    return [file for split in manifest.splits for file in manifest.of(split) if file.count]
