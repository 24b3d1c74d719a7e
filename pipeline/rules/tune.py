"""Rules of the section `tune`: each value that a trial may have is one that the file could have."""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, product
from math import ceil, log, prod
from typing import Any, TypeAlias

from pydantic import JsonValue

from hubline.core.config_errors import Location, PlacedError, dotted
from hubline.pipeline.config import AnyFile, PipelineFile
from hubline.pipeline.rules.label import metric_fault
from hubline.pipeline.rules.rule import holds_for_parts
from hubline.preprocessing.config import Label
from hubline.trainer.config.devices import Devices
from hubline.trainer.config.tuning import SECTIONS, NoKeysError, Tune, insert
from hubline.trainer.labels.parts import TRAINING, needs_pictures
from hubline.trainer.phases import kept_for

_MOST = 300
"""Combinations of values that are checked one by one; with more, all pairs of values are."""

_FACTOR = 3
"""Hyperband's factor between two rounds, KerasTuner's default."""

_CHANGE_THE_LOSS = ("training.loss", "training.l1", "training.l2")

_WHY = (
    "what steps before the Trainer read (cached vectors, their views and augmentation, which variables of a module are "
    "trained, the source of a warm start, the column of weights), and all trials share their results; remove this value"
)

_Point: TypeAlias = tuple[Location, JsonValue]
"""A value of a range, with its location in the range."""

Check: TypeAlias = Callable[[Mapping[Any, Any]], tuple[AnyFile | None, list[PlacedError]]]
"""Validates the contents of a pipeline file; returns None and all errors if there are any."""


@holds_for_parts
def the_objective_is_a_metric_of_the_label(tune: Tune | None, label: Label) -> Iterator[PlacedError]:
    if tune is None:
        return
    if tune.metric is not None and (fault := metric_fault(tune.metric, label)):
        yield ("tune", "objective"), fault
    changing = [key for key in tune.ranges if key.startswith(_CHANGE_THE_LOSS)]
    if tune.objective == "val_loss" and changing:
        yield (
            ("tune", changing[0]),
            "changes the loss itself, so that val_loss can't be compared between trials; set tune.objective to a "
            f"metric, such as {' or '.join(f'val_{name}' for name in TRAINING.of(label.kind).training_metrics)}",
        )


RULES = (the_objective_is_a_metric_of_the_label,)


def trial_errors(file: PipelineFile, values: Mapping[Any, Any], check: Check) -> Iterator[PlacedError]:
    """Errors of the files that trials stand for, each at the value that causes it.

    Args:
        file: The pipeline file, which is valid itself.
        values: Its contents.
        check: Validates the contents of a file.
    """
    tune = file.tune
    if tune is None:
        return
    without = {key: value for key, value in values.items() if key != "tune"}

    def checked(points: Mapping[str, _Point]) -> tuple[AnyFile | None, list[PlacedError]]:
        try:
            sections = _with_values(file, points)
        except NoKeysError as error:
            return None, [(tuple(error.key.split(".")), str(error))]
        return check(without | sections)

    errors: dict[tuple[Location, PlacedError], PlacedError] = {}
    for points in _combinations(tune):
        for error in checked(points)[1]:
            location, message = _placed(*error, points)
            errors.setdefault((location, error), (location, message))  # one of the combinations with the same error
    yield from errors.values()
    for key, values_of in tune.ranges.items():
        for place, value in values_of.points():
            changed, _ = checked({key: (place, value)})
            if isinstance(changed, PipelineFile) and _steps_before(changed) != _steps_before(file):
                yield ("tune", key, *place), "changes " + _WHY
            elif isinstance(changed, PipelineFile) and _at_start(changed) != _at_start(file):
                yield ("tune", key, *place), "changes the devices, and all trials train on the same; remove this value"
    if tune.search == "hyperband":
        yield from _hyperband_errors(file, tune)


def _combinations(tune: Tune) -> Iterator[dict[str, _Point]]:
    """Values to check together, by key: all combinations, or if there are too many, all pairs."""
    points = {key: list(values.points()) for key, values in tune.ranges.items()}
    if prod(map(len, points.values())) <= _MOST:
        for chosen in product(*points.values()):
            yield dict(zip(points, chosen, strict=True))
        return
    first = {key: found[0] for key, found in points.items()}
    for one, other in combinations(points, 2):
        for point, and_point in product(points[one], points[other]):
            yield first | {one: point, other: and_point}


def _with_values(file: PipelineFile, points: Mapping[str, _Point]) -> dict[str, Any]:
    """The tuned sections with the values of a trial."""
    sections = {
        name: json.loads(getattr(file, name).model_dump_json(by_alias=True, exclude_unset=True)) for name in SECTIONS
    }
    insert(sections, {key: value for key, (_, value) in points.items()})
    return sections


def _placed(location: Location, message: str, points: Mapping[str, _Point]) -> PlacedError:
    """An error in a trial's file, at the value that causes it: the value that contains the error, or else the values
    inside the section that has the error."""
    keys = {key: tuple(key.split(".")) for key in points}
    around = [key for key, path in keys.items() if location[: len(path)] == path]
    if around:
        key = max(around, key=len)
        inside = dotted(location[len(keys[key]) :])
        return ("tune", key, *points[key][0]), f"{inside}: {message}" if inside else message
    causes = [key for key, path in keys.items() if path[: len(location)] == location] or list(points)
    with_ = ", ".join(f"{key}: {json.dumps(points[key][1])}" for key in causes)
    where = dotted(location)
    return ("tune", causes[-1]), f"with {with_}: {where}{': ' if where else ''}{message}"


def _steps_before(file: PipelineFile) -> Any:
    """What the steps before the Trainer read of `model` and `training`."""
    tuned = {name: file.model.tuned(name) for name in (*file.hubs, *file.backbones)}
    pictures = needs_pictures(file.label, file.features)
    training = file.training
    return kept_for(file.model, training, file.backbones, pictures), tuned, training.warm_start, training.sample_weight


def _at_start(file: PipelineFile) -> Devices:
    return file.training.devices.at_start


def _hyperband_errors(file: PipelineFile, tune: Tune) -> Iterator[PlacedError]:
    lengths = [key for key in tune.ranges if key in ("training.epochs", "training.steps", "training.examples")]
    if lengths:
        yield ("tune", lengths[0]), "hyperband chooses how long a trial is trained; remove this, or use another search"
    epochs = file.training.epochs
    if epochs is None:
        return
    if (least := _first_bracket(epochs)) > tune.trials:
        message = f"hyperband needs {least} trials to train one of them for {epochs} epochs; got {tune.trials}"
        yield ("tune", "trials" if "trials" in tune.model_fields_set else "search"), message


def _first_bracket(epochs: int) -> int:
    """Trials of KerasTuner's first bracket, which ends with trials of all epochs. Each round has a third of the trials
    of the one before, for three times as many epochs."""
    bracket = 0
    while epochs / _FACTOR ** (bracket + 1) >= 1:
        bracket += 1
    last = ceil(1 + log(epochs, _FACTOR)) / (bracket + 1)
    return sum(ceil(last * _FACTOR**left) for left in range(bracket + 1))
