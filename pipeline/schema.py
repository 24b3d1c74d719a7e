"""`hubline schema`: the schema of the data, and its statistics."""

import os
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from hubline.artifacts import file_list
from hubline.artifacts.column_statistics import STATISTICS as SPLIT_STATISTICS
from hubline.artifacts.column_statistics import by_column, missing_share, shortened, top_values
from hubline.artifacts.splits import SPLITS
from hubline.components.beam import IN_ONE_PROCESS
from hubline.components.curated_schema.read import read_curated
from hubline.components.pin.snapshot import pin_files
from hubline.core import storage
from hubline.core.errors import UserError
from hubline.core.number_format import shown
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.paths import Paths
from hubline.pipeline.rules.beam import unreachable_by_workers
from hubline.preprocessing.feature_columns import refers_to_feature
from hubline.preprocessing.kinds.categorical import CategoricalFeature
from hubline.preprocessing.kinds.crossed import CrossedFeature

SCHEMA, BASELINE = "schema.pbtxt", "statistics.pb"
"""Names of the frozen files."""

_FEW = 100
"""Maximum number of categories that a schema lists, as in TFDV's `infer_schema` for strings."""
_SHOWN_VALUES = 5
_SHOWN_LENGTH = 20


@dataclass(frozen=True)
class DataDescription:
    """Schema and statistics of a pipeline file's data."""

    schema: schema_pb2.Schema
    curated: str | None
    """File of the curated schema; None if the schema was inferred."""
    statistics: statistics_pb2.DatasetFeatureStatisticsList | None
    """Statistics of the training split; None if the data was not read."""
    counts: Mapping[str, int]
    """Records by split; empty if the data was not read."""


def describe(path: Path, file: PipelineFile, root: Path | None, read: bool) -> DataDescription:
    """The curated schema, or the one that the first steps of a run infer from the current data.

    Args:
        path: The pipeline file.
        file: Its contents.
        root: Folder of the pipeline's files; its cache is used and extended.
        read: Whether to read the data even with a curated schema, for its statistics.

    Raises:
        UserError: if there is no such schema or data.
        DataError: if the data would stop a run.
    """
    curated = file.data.data_schema
    schema = read_curated(curated) if curated else None
    if schema is not None and not read:
        return DataDescription(schema, curated, None, {})
    inferred = _infer(file, Paths.of(path, file.name, root))
    return inferred if schema is None else DataDescription(schema, curated, inferred.statistics, inferred.counts)


def _infer(file: PipelineFile, places: Paths) -> DataDescription:
    files = pin_files(file.data)
    file_list.keep(files, str(places.pins))
    # Imported here because TFX takes ten seconds, and a curated schema is shown without it.
    from hubline.artifacts.examples import Manifest
    from hubline.components.component import components
    from hubline.components.input_artifacts import read_schema
    from hubline.pipeline.graph import describing

    places.root.mkdir(parents=True, exist_ok=True)
    # Beside the store, whose files the artifacts hard-link.
    with tempfile.TemporaryDirectory(prefix="schema-", dir=places.root) as folder:
        # Workers on other machines don't see the folder.
        is_reached = unreachable_by_workers(file.beam, folder) is None
        arguments = file.beam.arguments() if is_reached else list(IN_ONE_PROCESS)
        made = _run(components(describing(file, files, places)), folder, arguments)
        statistics = {
            split: statistics_pb2.DatasetFeatureStatisticsList.FromString(
                Path(f"{made['statistics'][0].uri}/Split-{split}/{SPLIT_STATISTICS}").read_bytes()
            )
            for split in SPLITS
        }
        return DataDescription(
            schema=with_ranges(read_schema(made["schema"]), categories(file), list(statistics.values())),
            curated=None,
            statistics=statistics["train"],
            counts=Manifest.read(made["examples"][0].uri).counts,
        )


def categories(file: PipelineFile) -> set[str]:
    """Columns whose values are categories or classes."""
    columns = {
        read
        for name, feature in file.features.items()
        if isinstance(feature, CategoricalFeature | CrossedFeature)
        for read in feature.reads(name)
        if read == name or not refers_to_feature(read, file.features)
    }
    return columns | (set(file.label.columns) if file.label.are_categories else set())


def with_ranges(
    schema: schema_pb2.Schema,
    columns: Collection[str],
    splits: Sequence[statistics_pb2.DatasetFeatureStatisticsList],
) -> schema_pb2.Schema:
    """Restricts integer columns with few categories to their observed range.

    TFDV infers a domain for strings with at most 100 values but none for integers, so whether a new category is
    detected would depend on its type.
    """
    held = schema_pb2.Schema.FromString(schema.SerializeToString())
    of_splits = [by_column(statistics) for statistics in splits]
    for feature in held.feature:
        if feature.type != schema_pb2.INT or feature.name not in columns or feature.WhichOneof("domain_info"):
            continue
        numbers = [found[feature.name].num_stats for found in of_splits if feature.name in found]
        numbers = [each for each in numbers if each.common_stats.num_non_missing]
        if not numbers:
            continue
        least, greatest = round(min(each.min for each in numbers)), round(max(each.max for each in numbers))
        if greatest - least < _FEW:
            feature.int_domain.min, feature.int_domain.max = least, greatest
    return held


def _run(steps: Iterable[Any], folder: str, beam_arguments: Sequence[str]) -> dict[str, list[Any]]:
    """Runs steps in sequence without ML Metadata and returns their artifacts by key."""
    from tfx.dsl.components.base import base_beam_executor

    made: dict[str, list[Any]] = {}
    for step in steps:
        executor = step.executor_spec.executor_class
        beam = {"beam_pipeline_args": list(beam_arguments)}
        context = executor.Context(
            **(beam if issubclass(executor, base_beam_executor.BaseBeamExecutor) else {}),
            tmp_dir=f"{folder}/tmp/",
            unique_id=step.id,
        )
        outputs = {key: [channel.type()] for key, channel in step.outputs.items()}
        for key, (artifact,) in outputs.items():
            artifact.uri = f"{folder}/{key}"
            Path(artifact.uri).mkdir()
        executor(context).Do({key: made[key] for key in step.inputs}, outputs, step.exec_properties)
        made |= outputs
    return made


def columns(described: DataDescription) -> list[dict[str, str]]:
    """Table rows, one per column, by heading."""
    found = by_column(described.statistics) if described.statistics else {}
    return [
        {
            "column": feature.name,
            "type": schema_pb2.FeatureType.Name(feature.type).lower(),
            "presence": _presence(feature),
            "values": _valency(feature),
            "domain": _domain(feature, described.schema),
        }
        | ({"training split": _figures(found[feature.name])} if feature.name in found else {})
        for feature in sorted(described.schema.feature, key=lambda feature: feature.name)
    ]


def show_schema(console: Console, described: DataDescription, name: str) -> None:
    counts = ", ".join(f"{split} {count:,}" for split, count in described.counts.items())
    source = described.curated or f"inferred from {sum(described.counts.values()):,} records"
    console.print(f"{name}: {source}{f' ({counts})' if counts else ''}", soft_wrap=True)
    rows = columns(described)
    titles = list(dict.fromkeys(title for row in rows for title in row))
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(row.get(title, "")) for title in titles))
    console.print(table)


def _presence(feature: schema_pb2.Feature) -> str:
    fraction = feature.presence.min_fraction
    return "always" if fraction == 1 else f"in at least {fraction:.0%}" if fraction else "optional"


def _valency(feature: schema_pb2.Feature) -> str:
    """Number of values in a record that has the column."""
    if feature.HasField("shape"):
        return " x ".join(str(dim.size) for dim in feature.shape.dim) or "1"
    low, high = feature.value_count.min, feature.value_count.max
    if low == high:
        return str(low) if low else ""
    return f"{low} to {high}" if high else f"{low} or more"


def _domain(feature: schema_pb2.Feature, schema: schema_pb2.Schema) -> str:
    """Allowed values."""
    match feature.WhichOneof("domain_info"):
        case "domain":
            named = {domain.name: domain.value for domain in schema.string_domain}
            return _listed(named.get(feature.domain, ()))
        case "string_domain":
            return _listed(feature.string_domain.value)
        case "int_domain":
            return _range(feature.int_domain)
        case "float_domain":
            return _range(feature.float_domain)
        case other:
            return (other or "").removesuffix("_domain")


def _listed(values: Sequence[str]) -> str:
    more = f", and {len(values) - _SHOWN_VALUES} more" if len(values) > _SHOWN_VALUES else ""
    shown = ", ".join(shortened(value, _SHOWN_LENGTH) for value in values[:_SHOWN_VALUES])
    return f"{len(values)} values: {shown}{more}"


def _range(domain: schema_pb2.IntDomain | schema_pb2.FloatDomain) -> str:
    low = f"{shown(domain.min)} or more" if domain.HasField("min") else ""
    high = f"{shown(domain.max)} or less" if domain.HasField("max") else ""
    return f"{shown(domain.min)} to {shown(domain.max)}" if low and high else low or high


def _figures(column: statistics_pb2.FeatureNameStatistics) -> str:
    """For example `0 to 9, mean 4.5, 1.2 % missing`, or `12 distinct: red, blue, green, …`."""
    missing = missing_share(column)
    match column.WhichOneof("stats"):
        case "num_stats":
            numbers = column.num_stats
            parts = [f"{shown(numbers.min)} to {shown(numbers.max)}", f"mean {shown(numbers.mean)}"]
        case "string_stats" if column.string_stats.unique:
            top = [value for value, _ in top_values(column, _SHOWN_VALUES, _SHOWN_LENGTH)]
            more = "…" if column.string_stats.unique > len(top) else ""
            parts = [f"{column.string_stats.unique:,} distinct: {', '.join(top)}{more}"]
        case "string_stats":
            parts = [f"{column.string_stats.avg_length:,.0f} bytes on average"]
        case _:
            parts = []
    return ", ".join([*parts, *([f"{missing:.1%} missing"] if missing else [])])


def to_freeze(path: Path, curated: str | None, output: Path | None, overwrite: bool) -> dict[str, Path]:
    """Where schema and baseline will be frozen, by their keys under `data`. Checked before the data is read, which may
    take long.

    Args:
        path: The pipeline file.
        curated: Its curated schema, if it has one.
        output: File for the schema; default: `schema.pbtxt` next to the pipeline file. The baseline is written next to
            it.
        overwrite: Whether existing files may be overwritten.

    Raises:
        UserError: if a file exists that may not be overwritten, or `output` has the wrong extension.
    """
    schema = output or path.parent / SCHEMA
    if schema.suffix != ".pbtxt":
        raise UserError(f"{schema}: the name of a frozen schema must end in .pbtxt, such as {SCHEMA}")
    files = {"schema": schema, "baseline": schema.with_name(BASELINE)}
    written = [file for file in files.values() if not _is_file(curated, file)]
    if not overwrite and (there := [file for file in written if file.exists()]):
        raise UserError("\n".join(f"{file}: already exists; pass --overwrite to replace it" for file in there))
    return files


def freeze(described: DataDescription, files: Mapping[str, Path]) -> None:
    """Writes the schema, and the statistics of the training split as baseline.

    Args:
        described: Includes statistics.
        files: From `to_freeze`. An existing curated schema stays unchanged.
    """
    assert described.statistics is not None
    storage.write_bytes(str(files["baseline"]), described.statistics.SerializeToString(deterministic=True))
    if described.curated is None:
        storage.write_bytes(str(files["schema"]), text_format.MessageToString(described.schema).encode())
    elif not _is_file(described.curated, files["schema"]):
        with storage.open_binary(described.curated) as curated:  # its text, including comments
            storage.write_bytes(str(files["schema"]), curated.read())


def _is_file(curated: str | None, file: Path) -> bool:
    return curated is not None and Path(curated).resolve() == file.resolve()


def lines_for(files: Mapping[str, Path], path: Path) -> list[str]:
    """Lines for `data` in the pipeline file, with paths relative to its folder."""
    return [f"{key}: {os.path.relpath(file, path.absolute().parent)}" for key, file in files.items()]
