"""The search: proposes trials, has them run, and keeps their results on disk as they come in."""

import logging
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import zip_longest

from hubline.core import storage
from hubline.core.progress import report
from hubline.trainer.adapters.keras_tuner import Oracle, Proposal
from hubline.trainer.config.tuning import Tune
from hubline.trainer.tuning.results import Trial, Trials
from hubline.trainer.tuning.trial import Task

_LOGGER = logging.getLogger(__name__)

_ENOUGH = 5
"""Earlier trials that a median is taken of."""

Run = Callable[[Sequence[Task]], Iterable[Trial]]
"""Runs trials at the same time, and yields each result as it comes in."""


def search(tune: Tune, epochs: int, folder: str, run: Run) -> Trials:
    """Runs the trials of a search, except those with a result from an interrupted search.

    An interrupted search is not restored but replayed: with the results that it left, the oracle proposes the same
    values again. So the trials are those of a search that was never interrupted. For the same reason, trials that run
    at the same time learn from those before them alone, and not from each other.

    Args:
        tune: The search.
        epochs: Epochs of a whole training.
        folder: A folder that survives an interrupted search: results of trials, and their checkpoints.
        run: Runs trials.
    """
    trials: list[Trial] = []
    numbers: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as scratch:
        oracle = Oracle(tune, epochs, scratch)
        while proposals := list(_proposed(oracle, tune.parallel)):
            numbers |= {proposal.id: len(trials) + place for place, proposal in enumerate(proposals, 1)}
            medians = _medians(trials) if tune.prune == "median" and tune.search != "hyperband" else ()
            tasks = [_task(proposal, numbers, trials, tune.objective, folder, medians) for proposal in proposals]
            found = {task.number: trial for task in tasks if (trial := _kept(folder, task))}
            for trial in run([task for task in tasks if task.number not in found]):
                storage.write_text(_file(folder, trial.number), trial.model_dump_json())
                found[trial.number] = trial
                _report(tune, [*trials, *found.values()])
            for task, proposal in zip(tasks, proposals, strict=True):
                trials.append(found[task.number])
                oracle.tell(proposal, found[task.number].objective)
    return Trials(objective=tune.objective, mode=tune.mode, search=tune.search, trials=tuple(trials))


def _proposed(oracle: Oracle, count: int) -> Iterator[Proposal]:
    for worker in range(count):
        proposal = oracle.propose(worker)
        if not isinstance(proposal, Proposal):
            return
        yield proposal


def _task(
    proposal: Proposal,
    numbers: dict[str, int],
    trials: Sequence[Trial],
    objective: str,
    folder: str,
    medians: Sequence[float],
) -> Task:
    number = numbers[proposal.id]
    continues = None if proposal.continues is None else numbers[proposal.continues]
    first, before = number, continues
    while before is not None:  # the whole chain has the checkpoints of its first trial
        first, before = before, trials[before - 1].continues
    return Task(
        number=number,
        values=dict(proposal.values),
        objective=objective,
        checkpoints=f"{folder}/checkpoints/{first}",
        epochs=proposal.epochs,
        continues=continues,
        medians=tuple(medians),
    )


def _medians(trials: Sequence[Trial]) -> list[float]:
    """The median objective after each epoch, as long as enough trials have trained that long."""
    found = []
    for values in zip_longest(*(trial.history for trial in trials)):
        reached = [value for value in values if value is not None]
        if len(reached) < _ENOUGH:
            break
        found.append(statistics.median(reached))
    return found


def _file(folder: str, number: int) -> str:
    return f"{folder}/trials/{number}.json"


def _kept(folder: str, task: Task) -> Trial | None:
    """The result of a trial from an interrupted search."""
    path = _file(folder, task.number)
    if not storage.exists(path):
        return None
    with storage.open_binary(path) as file:
        trial = Trial.model_validate_json(file.read())
    if (trial.values, trial.continues) == (task.values, task.continues):
        return trial
    _LOGGER.warning("%s is of other values; the trial is run again", path)
    return None


def _report(tune: Tune, trials: Sequence[Trial]) -> None:
    so_far = Trials(objective=tune.objective, mode=tune.mode, search=tune.search, trials=tuple(trials))
    last, best = trials[-1], so_far.best
    _LOGGER.info("trial %d: %s", last.number, last.model_dump_json(exclude={"history"}))
    values = {} if best is None or best.objective is None else {tune.objective: best.objective}
    report(len(trials), tune.trials, "trials", **values)
