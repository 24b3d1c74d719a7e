"""Operations by which a module reaches beyond its own computation: files, the network, the process, Python.

A hub module is a program. Its graphs and functions are read as messages here, so nothing of it runs.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from hubline.core.errors import UserError
from hubline.trainer.saved_model import SavedModel
from hubline.trainer.saved_model_graph import Scope, Scopes

_READS, _WRITES, _CONNECTS = "reads files", "writes files", "connects to other machines"
_PYTHON, _PROCESS = "calls Python", "halts the process"
_HIDES = "runs a program that it holds as bytes"
_SETTINGS = "changes how TensorFlow reaches files or other machines"

_OPERATIONS: Mapping[str, str] = {
    name: reach
    for reach, names in {
        _READS: "CSVDataset CSVDatasetV2 ExperimentalCSVDataset ExperimentalLMDBDataset "
        "ExperimentalMatchingFilesDataset ExperimentalSqlDataset FixedLengthRecordDataset "
        "FixedLengthRecordDatasetV2 FixedLengthRecordReader FixedLengthRecordReaderV2 GenerateVocabRemapping "
        "ImportEvent InitializeTRTResource LMDBDataset LMDBReader ListSnapshotChunksDataset "
        "LoadAndRemapMatrix LoadDataset MatchingFiles MatchingFilesDataset ReadFile RecordInput "
        "Skipgram SnapshotChunkDataset SnapshotDatasetReader SnapshotNestedDatasetReader SqlDataset TFRecordDataset "
        "TFRecordDatasetV2 TFRecordReader TFRecordReaderV2 TextLineDataset TextLineReader TextLineReaderV2 "
        "WholeFileReader WholeFileReaderV2",
        _WRITES: "CacheDataset CacheDatasetV2 CalibrationStatisticsSaver CreateSummaryDbWriter CreateSummaryFileWriter "
        "DatasetToTFRecord DistributedSave DumpTensor ExperimentalDatasetToTFRecord SaveDataset SaveDatasetV2 "
        "SerializeTRTResource SnapshotDataset SnapshotDatasetV2 StoreMinibatchStatisticsInFdo WriteFile",
        _CONNECTS: "ConfigureAndInitializeGlobalTPU ConfigureDistributedTPU DataServiceDataset DataServiceDatasetV2 "
        "DataServiceDatasetV3 DataServiceDatasetV4 RegisterDataset RegisterDatasetV2 RemoteCall RpcCall "
        "RpcCheckStatus RpcClient RpcGetValue RpcServer RpcServerRegister RpcServerStart",
        _PYTHON: "EagerPyFunc GeneratorDataset PyFunc PyFuncStateless",
        _PROCESS: "Abort ExperimentalSleepDataset SleepDataset",
        _HIDES: "DatasetFromGraph TRTEngineOp XlaCustomCall XlaCustomCallV2",
        _SETTINGS: "FileSystemSetConfiguration",
    }.items()
    for name in names.split()
}
"""What operations of TensorFlow can do, as far as their attributes don't matter."""

_FOREIGN: Mapping[str, str] = {"IO>": _READS}
"""What the operations of other packages can do, by prefix."""

_BY_ATTRIBUTE: Mapping[str, tuple[str, str]] = {
    "PrintV2": ("output_stream", _WRITES),
    "FixedUnigramCandidateSampler": ("vocab_file", _READS),
    **dict.fromkeys(
        ("DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount", "DebugNumericSummary"),
        ("debug_urls", _CONNECTS),
    ),
}
"""Operations that reach beyond the module if an attribute says so, with that attribute."""

_HARMLESS_STREAMS = (b"stderr", b"stdout", b"log(info)", b"log(warning)", b"log(error)")

_OF_CHECKPOINTS: Mapping[str, str] = {
    "DTensorRestoreV2": _READS,
    "MergeV2Checkpoints": _WRITES,
    "Restore": _READS,
    "RestoreSlice": _READS,
    "RestoreV2": _READS,
    "Save": _WRITES,
    "SaveSlices": _WRITES,
    "SaveV2": _WRITES,
}
"""Operations that each SavedModel has for its own variables. They reach further if a call or initializer runs them."""

_OF_TABLES = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
"""Operations that fill a table from a file, which may be an asset of the module."""

KNOWN = frozenset({*_OPERATIONS, *_BY_ATTRIBUTE, *_OF_CHECKPOINTS, *_OF_TABLES})
"""All operations of TensorFlow that can reach beyond a module."""


def refuse_reaching(saved: SavedModel, allowed: Collection[str] = ()) -> None:
    """Refuses a module that reaches beyond its own computation.

    Args:
        saved: The module.
        allowed: Names of operations that may.

    Raises:
        UserError: naming all such operations and what each can do, or an asset file outside the module.
    """
    scopes = _scopes_of(saved)
    _refuse_assets_outside(scopes)
    found = {name: reach for name, reach in _reaching(scopes).items() if name not in allowed}
    if found:
        listed = ", ".join(f"{name} ({reach})" for name, reach in sorted(found.items()))
        raise UserError(
            f"it contains operations that reach beyond the module: {listed}; a module is a program that runs with your "
            f"rights. If you trust its source, allow them: allow_operations: [{', '.join(sorted(found))}] in the "
            f"pipeline file, or {' '.join(f'--allow-operation {name}' for name in sorted(found))}"
        )


def reaching_operations(saved: SavedModel) -> dict[str, str]:
    """The operations that reach beyond a module, in all of its graphs and functions, and what each can do."""
    return _reaching(_scopes_of(saved))


def _scopes_of(saved: SavedModel) -> list[Scopes]:
    return [Scopes(graph) for graph in (saved.graph, saved.training_graph) if graph is not None]


def _reaching(graphs: Iterable[Scopes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for scopes in graphs:
        found |= dict(_anywhere(scopes)) | dict(_when_run(scopes))
    return found


def _refuse_assets_outside(graphs: Iterable[Scopes]) -> None:
    for scopes in graphs:
        for name in scopes.asset_files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise UserError(f"its asset file {name!r} is outside the module")


def _anywhere(scopes: Scopes) -> Iterator[tuple[str, str]]:
    """Whether anything runs them or not."""
    for _, node in scopes.nodes():
        if reach := _OPERATIONS.get(node.op) or next((_FOREIGN[p] for p in _FOREIGN if node.op.startswith(p)), None):
            yield node.op, reach
        elif node.op in _BY_ATTRIBUTE:
            attribute, reach = _BY_ATTRIBUTE[node.op]
            value = node.attr.get(attribute)
            if value and any(text and text not in _HARMLESS_STREAMS for text in (value.s, *value.list.s)):
                yield node.op, reach


def _when_run(scopes: Scopes) -> Iterator[tuple[str, str]]:
    for scope, node in scopes.run():
        if node.op in _OF_CHECKPOINTS:
            yield node.op, _OF_CHECKPOINTS[node.op]
        elif node.op in _OF_TABLES and not _is_asset(scopes, scope, node):
            yield node.op, _READS


def _is_asset(scopes: Scopes, scope: Scope, node: Any) -> bool:
    origins = scopes.origins(scope, node.input[1])
    return bool(origins) and all(scopes.is_asset(*origin) for origin in origins)
