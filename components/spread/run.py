"""Runs a stage: in this process, in several of this machine, or on an engine."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from hubline.components.engine import Work, local_workers
from hubline.components.spread import local, on_engine
from hubline.components.spread.processes import kept
from hubline.components.spread.progress import Progress
from hubline.components.spread.stage import Report, Stage, Task

_FAILURES = "failures"


def run_stage(stage: Stage[Task], arguments_for: Callable[[Work], list[str]], scratch: str) -> None:
    """Does the tasks whose result is not cached.

    Args:
        stage: The tasks.
        arguments_for: Returns the Beam arguments for so much work.
        scratch: A folder for temporary files that workers see, too.

    Raises:
        UserError: the error of a task, wherever it was done.
    """
    missing = stage.missing()
    if not missing:
        return
    arguments = arguments_for(Work(len(missing), (task.size for task in missing), stage.weight))
    workers = local_workers(arguments)
    report = Progress(stage, missing)
    if workers is None:
        on_engine.run(stage, missing, arguments, f"{scratch}/{_FAILURES}", report)
    elif min(workers, len(missing)) == 1 or (stage.runs_models and _has_gpu()):
        _run_here(stage, missing, report)
    else:
        with kept() as processes:
            local.run(stage, missing, min(workers, len(missing)), report, processes)


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
