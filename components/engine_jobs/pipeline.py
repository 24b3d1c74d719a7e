"""Where every Beam pipeline of a step that may leave the step begins."""

from collections.abc import Callable, Sequence

import apache_beam as beam

from hubline.components.engine_jobs.engine import Engine
from hubline.components.engine_jobs.job import JobPipeline
from hubline.components.engine_jobs.probe import Places, ask_a_worker


def pipeline_on(
    arguments: Sequence[str], name: str, places: Places | None = None, look: Callable[[], object] = lambda: None
) -> beam.Pipeline:
    """A pipeline that runs at the end of its `with` block: on this machine, or as a job on an engine.

    Args:
        arguments: Beam arguments.
        name: What the pipeline does, for the name of the job.
        places: What the engine's workers must reach, which one of them is asked before its first job.
        look: Called every few seconds while a job runs.

    Raises:
        RunError: if the engine's workers can't do the job; at the end of the block, if the job failed.
    """
    engine = Engine.of(arguments)
    if engine is None:
        return beam.Pipeline(argv=list(arguments))
    ask_a_worker(engine, places or Places())
    return JobPipeline(engine, name, look=look)
