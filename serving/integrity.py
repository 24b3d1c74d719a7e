"""Integrity check of a served version. A truncated SavedModel can load, and predict from what is left of it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hubline.core import storage
from hubline.core.config_base import has_wildcards, is_remote

_GRAPH = "saved_model.pb"
_VARIABLES = "variables/variables"


def find_faults(version: str) -> list[str]:
    """Lists the faults in a SavedModel's files, one line each; empty if there are none.

    Reads every variable once, one at a time, and verifies its checksum; takes about as long as `tree_digest`. Runs
    nothing in the model.
    """
    return [f"{version}/{fault}" for fault in (*_faults_of_graph(version), *_faults_of_variables(version))]


def _faults_of_graph(version: str) -> Iterator[str]:
    # Imported here because TensorFlow takes seconds to import, and most uses of this package don't need it.
    from google.protobuf.message import DecodeError

    from hubline.trainer.adapters.tensorflow import parse_saved_model

    if not storage.exists(f"{version}/{_GRAPH}"):
        yield f"{_GRAPH}: there is no such file"
        return
    with storage.open_binary(f"{version}/{_GRAPH}") as file:
        content = file.read()
    try:
        graph = parse_saved_model(content)
    except DecodeError:
        yield f"{_GRAPH}: it is cut short or damaged"
        return
    if not graph.meta_graphs:
        yield f"{_GRAPH}: it holds no model"
        return
    for meta_graph in graph.meta_graphs:
        if _has_variables(meta_graph) and not storage.exists(f"{version}/{_VARIABLES}.index"):
            yield f"{_VARIABLES}.index: there is no such file"
        for asset in meta_graph.asset_file_def:
            if not storage.exists(f"{version}/assets/{asset.filename}"):
                yield f"assets/{asset.filename}: there is no such file"


def _has_variables(meta_graph: Any) -> bool:
    return any(node.WhichOneof("kind") == "variable" for node in meta_graph.object_graph_def.nodes)


def _faults_of_variables(version: str) -> Iterator[str]:
    import tensorflow as tf

    if not storage.exists(f"{version}/{_VARIABLES}.index"):
        return
    with storage.on_disk(version) as copied, _without_wildcards(copied) as folder:
        try:
            reader = tf.train.load_checkpoint(f"{folder}/{_VARIABLES}")
            names = sorted(reader.get_variable_to_shape_map())
        except _errors() as error:
            yield f"{_VARIABLES}.index: {_reason(error)}"
            return
        for name in names:
            try:
                reader.get_tensor(name)
            except _errors() as error:
                yield f"{_VARIABLES}.data: variable {name}: {_reason(error)}"
                return


@contextmanager
def _without_wildcards(folder: str) -> Iterator[str]:
    """Yields a path to the folder without wildcard characters, because TensorFlow's checkpoint reader treats paths as
    patterns."""
    if is_remote(folder) or not has_wildcards(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory() as parent:
        link = Path(parent, "version")
        link.symlink_to(Path(folder).absolute())
        yield str(link)


def _errors() -> tuple[type[Exception], ...]:
    import tensorflow as tf

    # For some status codes the checkpoint reader's binding raises these instead of OpError.
    return (tf.errors.OpError, RuntimeError, ValueError, IndexError)


def _reason(error: Exception) -> str:
    return (getattr(error, "message", None) or str(error)).partition("\n")[0]
