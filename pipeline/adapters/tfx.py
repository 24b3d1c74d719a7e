"""Private APIs of TFX's local runner, which has no hooks. No other module imports `tfx.orchestration` below its top."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.orchestration.local import local_dag_runner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import beam_executor_operator, launcher
from tfx.orchestration.portable.runtime_parameter_utils import substitute_runtime_parameter
from tfx.proto.orchestration import executable_spec_pb2, placeholder_pb2

Outputs = Mapping[str, Any]
"""Output artifacts of a step, by key."""


def run_locally(
    pipeline: Pipeline,
    around_step: Callable[[str, Callable[[], Any]], Any],
    reusable: Callable[[Outputs], bool] | None = None,
    before_outputs: Callable[[Outputs], None] | None = None,
    beam_arguments: Sequence[str] = (),
    run_id: str | None = None,
) -> None:
    """Runs a pipeline with TFX's LocalDagRunner, with hooks.

    Private: the launcher that the runner creates for each step, and the functions with which a launcher finds cached
    outputs and creates output folders. The public runner reports nothing about its steps, reuses outputs with damaged
    files, writes into folders that already contain files, and hashes the Beam arguments of a pipeline into the cache
    keys, although no result depends on them.

    Args:
        pipeline: The pipeline.
        around_step: Called for each step with its id and a function that launches the step; returns the function's
            result, TFX's `ExecutionInfo`.
        reusable: Whether cached outputs may be reused; otherwise the step runs.
        before_outputs: Called with the outputs of a step before their folders are created.
        beam_arguments: Beam pipeline arguments of every Beam step; not part of the cache keys.
        run_id: Name of the run in ML Metadata; by default the time at which it began.
    """
    given = [
        placeholder_pb2.PlaceholderExpression(value=metadata_store_pb2.Value(string_value=argument))
        for argument in beam_arguments
    ]

    class BeamOperator(beam_executor_operator.BeamExecutorOperator):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.beam_pipeline_args.extend(given)

    class Launcher(launcher.Launcher):
        def __init__(self, *args: Any, **options: Any) -> None:
            operators = {executable_spec_pb2.BeamExecutableSpec: BeamOperator}
            super().__init__(*args, **options, custom_executor_operators=operators)

        def launch(self) -> Any:
            return around_step(self._pipeline_node.node_info.id, super().launch)

    class Runner(local_dag_runner.LocalDagRunner):
        def run_with_ir(self, pipeline: Any, run_options: Any = None) -> None:
            if run_id is not None:
                substitute_runtime_parameter(pipeline, {PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
            super().run_with_ir(pipeline, run_options)

    cache, folders = launcher.cache_utils, launcher.outputs_utils
    find, make = cache.get_cached_outputs, folders.make_output_dirs

    def get_cached_outputs(*args: Any, **options: Any) -> Any:
        outputs = find(*args, **options)
        return outputs if outputs is None or reusable is None or reusable(outputs) else None

    def make_output_dirs(outputs: Outputs) -> Any:
        if before_outputs is not None:
            before_outputs(outputs)
        return make(outputs)

    with ExitStack() as patches:
        patches.enter_context(_replaced(launcher, "Launcher", Launcher))
        patches.enter_context(_replaced(cache, "get_cached_outputs", get_cached_outputs))
        patches.enter_context(_replaced(folders, "make_output_dirs", make_output_dirs))
        Runner().run(pipeline)


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Temporarily replaces an attribute of a module; raises AttributeError if the module doesn't have it."""
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)
