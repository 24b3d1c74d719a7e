"""Runs a stage: in this process, in several of this machine, or on an engine."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from hubline.components.engine import Work, local_workers, taking_part
from hubline.components.spread import local, on_engine
from hubline.components.spread.processes import kept
from hubline.components.spread.progress import Progress
from hubline.components.spread.stage import Report, Stage, Task
from hubline.components.spread.visible import wait_for_results
from hubline.core.errors import RunError
from hubline.core.progress import note

_FAILURES = "failures"


def run_stage(stage: Stage[Task], arguments_for: Callable[[Work], list[str]], scratch: str) -> None:
    """Does the tasks whose result is not cached.

    Args:
        stage: The tasks.
        arguments_for: Returns the Beam arguments for so much work.
        scratch: A folder for temporary files that workers see, too.

    Raises:
        UserError: the error of a task, wherever it was done.
        RunError: if an engine's workers wrote results to another place than this machine reads.
    """
    missing = stage.missing()
    if not missing:
        return
    arguments = arguments_for(Work(len(missing), (task.size for task in missing), stage.weight))
    workers = local_workers(arguments)
    report = Progress(stage, missing)
    if workers is None:
        on_engine.run(stage, missing, arguments, f"{scratch}/{_FAILURES}", report)
        if lost := wait_for_results(stage, missing):
            raise RunError(
                f"{stage.store}: lacks the results of {len(lost)} of {len(missing)} shards that workers have done, the "
                f"first of {lost[0].name}; the workers and this machine must see the same files there. Run again"
            )
        return
    workers = min(workers, len(missing))
    if workers > 1 and stage.runs_models and _has_gpu():
        note(taking_part(1, workers, "only the step's own process uses the GPU"))
        workers = 1
    if workers == 1:
        _run_here(stage, missing, report)
    else:
        with kept() as processes:
            local.run(stage, missing, workers, report, processes)


def _run_here(stage: Stage[Task], tasks: Sequence[Task], report: Report) -> None:
    if stage.at_once == 1:
        for task in tasks:
            stage.do(task, report)
        return
    with ThreadPoolExecutor(stage.at_once) as pool:
        done = [pool.submit(stage.do, task, report) for task in tasks]
        try:
            for each in done:
                each.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _has_gpu() -> bool:
    import tensorflow as tf  # slow, and stages that run models import it anyway

    return bool(tf.config.list_physical_devices("GPU"))
