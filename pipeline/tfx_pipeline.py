"""The TFX pipeline of a graph of steps."""

from collections.abc import Iterable

from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from hubline.components.component import components
from hubline.components.node import Node
from hubline.pipeline.paths import Paths


def tfx_pipeline(name: str, nodes: Iterable[Node], places: Paths) -> Pipeline:
    """The pipeline of some steps, to run on this machine.

    Args:
        name: Name of the pipeline.
        nodes: Steps, each after those that it reads or waits for.
        places: Where artifacts and metadata are stored.
    """
    return Pipeline(
        pipeline_name=name,
        pipeline_root=str(places.artifacts),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(places.metadata)),
        components=components(nodes),
        enable_cache=True,
    )
