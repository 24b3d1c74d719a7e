"""Embedder's executor."""

from collections import ChainMap, Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tfx.types import artifact_utils

from hubline.artifacts import quarantine
from hubline.artifacts.embedded_rows import EmbeddedRows, RowFile
from hubline.artifacts.examples import Manifest, ShardFile
from hubline.artifacts.quarantine import QuarantinedRecord, read_quarantine, refuse_too_many, write_quarantine
from hubline.artifacts.splits import SPLITS
from hubline.components import module_channels
from hubline.components.adapters.tfx import mark_as_tf_examples
from hubline.components.config.bad_records import BadRecords
from hubline.components.embedder.shard import EmbedShard, EmbedTask, link_rows
from hubline.components.example_gen.locate_bad_records import undecodable
from hubline.components.input_artifacts import read_schema
from hubline.components.spread.executor import StageExecutor
from hubline.components.spread.stage import Stage
from hubline.components.spread.weights import EMBEDDED
from hubline.core import storage
from hubline.core.code_digest import content_digest
from hubline.core.concurrency import in_order
from hubline.core.config_base import read_sections
from hubline.core.digest import tree_digest
from hubline.core.errors import DataError
from hubline.core.shard_cache import key
from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.feature_columns import input_columns
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.module_features import ModuleFeatures
from hubline.trainer import embed
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hubs, fed_hubs
from hubline.trainer.embed import EmbedResult
from hubline.trainer.inputs import bytes_of_pixels
from hubline.trainer.kept import Kept


class Executor(StageExecutor):
    """Embeds every shard that is not in the shard cache yet."""

    reads_one_shard = True

    def stage(self, input_dict: dict, exec_properties: dict[str, Any]) -> Stage[EmbedTask]:
        """The rows of all shards; no tasks if no module has inputs, as rows are the records then."""
        return _Work(input_dict, exec_properties).stage()

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `rows` with TFRecords in `Split-<name>/`, named like the shards, with `rows.json`, and with the list of
        undecodable records.

        Raises:
            DataError: if more images fail to decode than `bad_records` allows.
        """
        artifact = artifact_utils.get_single_instance(output_dict["rows"])
        artifact.split_names = artifact_utils.encode_split_names(list(SPLITS))
        mark_as_tf_examples(artifact)

        work = _Work(input_dict, exec_properties)
        self.run_stage(work.stage())
        made = list(in_order(lambda shard: work.link(shard, artifact), work.manifest.shards))
        rows = EmbeddedRows(
            files=tuple(file for file, _ in made),
            sizes=dict(ChainMap(*(sizes for _, sizes in made))),
            recipe=work.recipe,
            embedded=work.kept.splits,
            views=work.kept.views,
            pixels=bytes_of_pixels(work.features),
        )
        rows.write(artifact.uri)
        examples = artifact_utils.get_single_uri(input_dict["examples"])
        quarantined_records = list(_set_aside(examples, work.manifest, rows, work.features, work.mask))
        _judge(quarantined_records, BadRecords.model_validate_json(exec_properties["bad_records"]), work.manifest)
        write_quarantine(f"{artifact.uri}/{quarantine.FILE}", quarantined_records)


class _Work:
    """The inputs and properties of the step, and what follows from them."""

    def __init__(self, input_dict: dict, exec_properties: dict[str, Any]) -> None:
        self.kept = Kept.model_validate_json(exec_properties["kept"])
        self._fed = exec_properties["features"]
        self.features = read_sections(ModuleFeatures, self._fed)
        self._hubs = read_sections(Hubs, exec_properties["hubs"])
        self._folders = module_channels.folders(input_dict)
        self._label = exec_properties["label"]
        self.mask = PixelsLabel.model_validate_json(self._label) if self._label else None
        columns = [*input_columns(self.features), *(self.mask.masks if self.mask else ())]
        self._spec = parsing_spec(read_schema(input_dict["schema"]), columns)
        self._store = exec_properties["store"]
        self._code = content_digest(embed.__name__, "tensorflow")
        called = {name: hub.model_dump(exclude={"handle", "sha256"}) for name, hub in self._hubs.items()}
        self._modules = {name: [called[name], digest] for name, digest in module_channels.digests(input_dict).items()}
        backbones = [self._modules[name] for name in sorted(fed_hubs(self._hubs))]
        self._graph = _transform_graph(input_dict)
        # Statistics of the training split are part of the vectors.
        statistics = [tree_digest(self._graph)] if self._graph else []
        self.recipe = key("vectors", sorted(fed_hubs(self._hubs)), backbones, self._fed, self._code, *statistics)
        self._examples = artifact_utils.get_single_instance(input_dict["examples"])
        self.manifest = Manifest.read(self._examples.uri)

    def stage(self) -> Stage[EmbedTask]:
        """The rows of all shards."""
        return Stage(
            name="vectors",
            unit="examples",
            tasks=[self._task(shard) for shard in self.manifest.shards] if self.features else [],
            fill=EmbedShard(self._hubs, self._folders, self.features, self._spec, self.mask, self._graph),
            store=self._store,
            weight=EMBEDDED,
            runs_models=True,
        )

    def link(self, shard: ShardFile, artifact: Any) -> tuple[RowFile, dict[str, int]]:
        """Puts the rows of a shard into the artifact; returns them, and the size of each module's vectors.

        The records are linked unchanged if no module has inputs. Computed rows are not compressed.
        """
        name = shard.name.removesuffix(".gz") if self.features else shard.name
        target = f"{artifact_utils.get_split_uri([artifact], shard.split)}/{name}"
        if self.features:
            embedded = link_rows(self._store, self._task(shard), target)
        else:
            storage.link(self._path(shard), target)
            embedded = EmbedResult(count=shard.count, undecodable=(), sizes={})
        file = RowFile(
            split=shard.split,
            name=name,
            records=shard.count,
            count=embedded.count,
            undecodable=embedded.undecodable,
        )
        return file, embedded.sizes

    def _path(self, shard: ShardFile) -> str:
        return f"{artifact_utils.get_split_uri([self._examples], shard.split)}/{shard.name}"

    def _task(self, shard: ShardFile) -> EmbedTask:
        views, augment, seed = self._views(shard.split)
        made_by = self.recipe if views else [self._fed, self._label, self._code]
        changes = [[change.model_dump(), self._modules.get(change.hub or "")] for change in augment]
        return EmbedTask(
            name=self._path(shard),
            count=shard.count,
            key=key("rows", shard.digest, made_by, views, changes, seed),
            views=views,
            augment=augment,
            seed=seed,
        )

    def _views(self, split: str) -> tuple[int, tuple[Augmentation, ...], int]:
        """How many augmented views of each example to store, with which augmentations and seed."""
        if split == "train":
            return self.kept.views, self.kept.augment, self.kept.seed
        return int(split in self.kept.splits), (), 0


def _transform_graph(input_dict: dict) -> str | None:
    """Folder of the transform graph, which Embedder gets only if numbers are normalized by statistics."""
    return artifact_utils.get_single_uri(input_dict["transform_graph"]) if input_dict.get("transform_graph") else None


def _set_aside(
    examples: str, manifest: Manifest, rows: EmbeddedRows, features: ModuleFeatures, mask: PixelsLabel | None
) -> Iterator[QuarantinedRecord]:
    """The records without a row, each with its fault.

    Raises:
        DataError: if a data file has changed since its records were read.
    """
    without_row: Counter[str] = Counter()
    for shard, file in zip(manifest.shards, rows.files, strict=True):
        without_row.update(shard.files_of(file.undecodable))
    before = defaultdict(set)
    for entry in read_quarantine(f"{examples}/{quarantine.FILE}"):
        before[entry.file].add(entry.record)
    for source, count in (+without_row).items():
        found = list(undecodable(source, features, mask, passed_over=before[source]))
        if len(found) != count:
            raise DataError(
                f"{source}: {count} of the records read from it don't decode, but now {len(found)} of its records "
                "don't; the file has changed since: run again"
            )
        yield from found


def _judge(quarantined_records: list[QuarantinedRecord], bad_records: BadRecords, manifest: Manifest) -> None:
    if quarantined_records and bad_records.policy == "fail":
        raise DataError(str(quarantined_records[0]))
    total = manifest.quarantined + sum(manifest.counts.values())
    refuse_too_many(
        manifest.quarantined + len(quarantined_records), total, bad_records.max_fraction, quarantined_records
    )
