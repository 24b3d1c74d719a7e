"""ExampleGen's executor."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Any

import numpy as np
from tfx.types import artifact_utils

from hubline.artifacts import file_list, quarantine
from hubline.artifacts.examples import Manifest, ShardFile
from hubline.artifacts.pixel_columns import write_pixel_columns
from hubline.artifacts.quarantine import QuarantinedRecord, read_quarantine, refuse_too_many, write_quarantine
from hubline.artifacts.splits import ALL, SPLITS
from hubline.components.adapters.tfx import mark_as_tf_examples
from hubline.components.config.bad_records import BadRecords
from hubline.components.config.selection import Records, Selection
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen import small_files, strata
from hubline.components.example_gen import take as take_module
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.ingest_job import QUARANTINE, Recipe
from hubline.components.example_gen.results import Result, refuse_empty, refuse_several_types, refuse_unseen
from hubline.components.example_gen.small_files import grouped
from hubline.components.example_gen.strata import refuse_too_much, strata_of
from hubline.components.example_gen.take import bound_of_count, bound_of_share
from hubline.components.example_gen.tasks import (
    BY_FOLDER,
    CLASSES_FILE,
    HASHES_FILE,
    INGESTED_FILE,
    Classify,
    Ingest,
    Rank,
    Task,
)
from hubline.components.spread.executor import SpreadingExecutor
from hubline.components.spread.stage import Stage
from hubline.components.spread.weights import INGESTED
from hubline.core import storage, typed_json
from hubline.core.code_digest import content_digest
from hubline.core.concurrency import in_order
from hubline.core.shard_cache import ShardCache, key

_AT_ONCE = min(8, os.cpu_count() or 1)
"""Files that a worker ingests concurrently: TensorFlow reads a file on a single core, and buffers some MB of each."""


class Executor(SpreadingExecutor):
    """Ingests the files whose result is not cached, and assembles the artifact from the cache."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `examples` with TFRecords in `Split-<name>/`, uncompressed or copied as they are, and with
        `manifest.json`.

        Quarantined records go to `quarantine/`, with a list of them next to it.
        """
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        bad_records = BadRecords.model_validate_json(exec_properties["bad_records"])
        selection = Selection.model_validate_json(exec_properties["selection"])
        store = ShardCache(exec_properties["store"])
        recipe = _recipe(exec_properties, bad_records, selection, self._bound(store, exec_properties, selection))
        tasks = self._stratified(store, exec_properties, recipe, list(_tasks(exec_properties, recipe)))
        is_split = recipe.split is not None or all(task.group != ALL for task in tasks)
        artifact.split_names = artifact_utils.encode_split_names(list(SPLITS) if is_split else [ALL])
        self._run("examples", exec_properties["store"], tasks, Ingest(recipe))
        results = _results(store, tasks)
        contract, split = recipe.contract, recipe.split
        refuse_several_types(results)
        refuse_unseen(results)
        quarantined_records = sum(result.ingested.quarantined_records for result in results)
        total = quarantined_records + sum(part.count for result in results for part in result.ingested.parts)
        refuse_too_many(quarantined_records, total, bad_records.max_fraction, _set_aside(results))
        manifest = Manifest(
            shards=tuple(chain.from_iterable(in_order(lambda result: _linked(result, artifact), results))),
            images=contract.images,
            masks=contract.masks,
            sounds=contract.sounds,
            quarantined=quarantined_records,
        )
        refuse_empty(manifest, split, results, selection.where)
        _link_quarantine(results, artifact)
        # No file format is set: TFX has none for uncompressed TFRecords, and its readers detect GZIP by the suffix
        # `.gz`.
        mark_as_tf_examples(artifact)
        manifest.write(artifact.uri)
        write_pixel_columns(artifact.uri, dict(contract.pixels))

    def _bound(self, store: ShardCache, exec_properties: dict[str, Any], selection: Selection) -> int | None:
        """The bound below which the hashes of records must be; None for all records."""
        take = selection.take
        if take is None:
            return None
        if not isinstance(take, Records):
            return bound_of_share(take)
        bad_records = BadRecords(policy="quarantine")  # what is bad is found in what is taken
        code = content_digest(take_module.__name__, "tensorflow")
        recipe = _recipe(exec_properties, bad_records, selection, None)
        tasks = [
            replace(task, key=key("ranked", task.key, take.records, code)) for task in _tasks(exec_properties, recipe)
        ]
        self._run("hashes", exec_properties["store"], tasks, Rank(recipe, take.records + 1))
        found = in_order(lambda task: np.frombuffer(_hashes(store, task), np.int64), tasks)
        return bound_of_count(found, take.records)

    def _stratified(
        self, store: ShardCache, exec_properties: dict[str, Any], recipe: Recipe, tasks: list[Task]
    ) -> list[Task]:
        """The tasks with the bounds of the classes, if the file stratifies."""
        if recipe.split is None or recipe.split.stratify is None:
            return tasks
        code = content_digest(strata.__name__, "tensorflow")
        asked = [replace(task, key=key("classified", task.key, code)) for task in tasks]
        self._run("classes", exec_properties["store"], asked, Classify(recipe, recipe.split.stratify))
        parts = list(in_order(lambda task: _classes(store, task), asked))
        refuse_too_much(parts, recipe.split.stratify)
        bounds = strata_of(parts, recipe.split)
        told = [each.model_dump() for each in bounds]
        return [replace(task, strata=bounds, key=key("stratified", task.key, told)) for task in tasks]

    def _run(self, name: str, store: str, tasks: Sequence[Task], fill: Callable[..., None]) -> None:
        """Runs the tasks whose result is not cached."""
        self.run_stage(Stage(name, "files", tasks, fill, store, weight=INGESTED, at_once=_AT_ONCE))


def _recipe(
    exec_properties: dict[str, Any], bad_records: BadRecords, selection: Selection, below: int | None
) -> Recipe:
    return Recipe(
        split=HashSplit.model_validate_json(exec_properties["split"]) if exec_properties["split"] else None,
        contract=Contract.model_validate_json(exec_properties["contract"]),
        policy=bad_records.policy,
        where=selection.where,
        below=below,
    )


def _tasks(exec_properties: dict[str, Any], recipe: Recipe) -> Iterator[Task]:
    code = content_digest(small_files.__name__, "tensorflow")
    made_by = key("ingested", recipe.model_dump(mode="json"), code)
    for group, pinned in file_list.read(exec_properties["files"], exec_properties["pins"]).by_split.items():
        for together in grouped(pinned):
            files = [file.model_dump(mode="json") for file in together]
            yield Task(together, group, key(group, files, made_by))


def _results(store: ShardCache, tasks: Sequence[Task]) -> list[Result]:
    results = list(chain.from_iterable(in_order(lambda task: _results_of(store, task), tasks)))
    totals = Counter(result.group for result in results)
    numbers: dict[str, Iterator[int]] = defaultdict(count)
    return [
        replace(result, name=f"{next(numbers[result.group]):05d}-of-{totals[result.group]:05d}") for result in results
    ]


def _results_of(store: ShardCache, task: Task) -> list[Result]:
    folder = store.found(task.key, task.name)
    by_folder = BY_FOLDER.validate_json(storage.read_bytes(f"{folder}/{INGESTED_FILE}"))
    return [Result(task.group, name, f"{folder}/{name}", ingested) for name, ingested in by_folder.items()]


def _hashes(store: ShardCache, task: Task) -> bytes:
    return storage.read_bytes(f"{store.found(task.key, task.name)}/{HASHES_FILE}")


def _classes(store: ShardCache, task: Task) -> dict[bytes, np.ndarray]:
    content = storage.read_bytes(f"{store.found(task.key, task.name)}/{CLASSES_FILE}")
    found: dict[bytes, np.ndarray] = typed_json.load(content, ())
    return found


def _linked(result: Result, artifact: Any) -> list[ShardFile]:
    """Links a result's files into the artifact."""
    ingested, shards = result.ingested, []
    for part in ingested.parts:
        folder = artifact_utils.get_split_uri([artifact], part.split)
        name = f"data-{result.name}{'.gz' if ingested.compression == 'GZIP' else ''}"
        storage.link(f"{result.folder}/{part.split}", f"{folder}/{name}")
        shards.append(ShardFile(name=name, **part.model_dump()))
    return shards


def _link_quarantine(results: Sequence[Result], artifact: Any) -> None:
    touched = [result for result in results if result.ingested.quarantined_records]
    for result in touched:
        target = f"{artifact.uri}/{QUARANTINE}/{result.group}-{result.name}"
        storage.link(f"{result.folder}/{QUARANTINE}", target)
    if touched:
        write_quarantine(f"{artifact.uri}/{quarantine.FILE}", _set_aside(touched))


def _set_aside(results: Sequence[Result]) -> Iterator[QuarantinedRecord]:
    for result in results:
        yield from read_quarantine(f"{result.folder}/{quarantine.FILE}")
