"""Initial values of a model's variables from a checkpoint."""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.checkpoint_reader import CheckpointReader, open_checkpoint
from hubline.trainer.config.warm_start import WarmStart
from hubline.trainer.meanings import Meanings

_SHOWN = 20
"""Names in a message."""


def warm_start(
    config: WarmStart,
    prefix: str,
    variables: Mapping[str, tf.Variable],
    meanings: Meanings,
    in_vectors: Collection[str] = (),
) -> set[str]:
    """Takes the values of variables from a checkpoint.

    Args:
        config: The settings.
        prefix: The checkpoint, without `.index`.
        variables: The model's variables by name.
        meanings: What the rows and columns of the variables stand for.
        in_vectors: Variables that stored vectors were computed with, so that their values can't change.

    Returns:
        The names of the variables that were taken.

    Raises:
        UserError: with everything that is wrong; then no variable has changed.
    """
    with open_checkpoint(prefix) as source:
        taken, faults = _paired(config, source, variables)
        faults += _misfits(source, taken, variables)
        faults += meanings.conflicts(Meanings.read_for(prefix), variables, taken)
        values = {} if faults else {name: source.values(there) for name, there in taken.items()}
        changed = [name for name in in_vectors if name in values and not _equal(values[name], variables[name])]
        if changed:
            faults.append(
                f"{_listed(changed)}: the values in the source differ from those of the module, with which the stored "
                "vectors were computed; list the variables in `except`, or fine-tune the module from the first epoch "
                "(after_epochs: 0)"
            )
    _refuse(source.path, faults)
    for name, value in values.items():
        variables[name].assign(value)
    return set(values)


def check_source(config: WarmStart, prefix: str) -> None:
    """Checks what can be checked without the model: that the checkpoint is readable and has the variables in `names`.

    Raises:
        UserError: if not.
    """
    with open_checkpoint(prefix) as source:
        faults = [
            f"names: the source has no variable '{old}'; {_near(old, source.specs)}"
            for old, new in config.names.items()
            if not any(_mapped(old, new, source.specs))
        ]
    _refuse(source.path, faults)


def _refuse(path: str, faults: Sequence[str]) -> None:
    if faults:
        raise UserError("\n  ".join([f"training.warm_start from {path}:", *faults]))


def _equal(value: np.ndarray, variable: tf.Variable) -> bool:
    return np.array_equal(value, variable.numpy(), equal_nan=True)


def _paired(
    config: WarmStart, source: CheckpointReader, variables: Mapping[str, tf.Variable]
) -> tuple[dict[str, str], list[str]]:
    """The variable of the source that each variable of the model takes its values from, and what is wrong."""
    found, faults = _renamed(config, source.specs, variables)
    unused = [each for each in config.leave_out if not any(re.search(each, name) for name in variables)]
    faults += [f"except: no variable has {each!r} in its name; {_near(each, variables)}" for each in unused]
    wanted = [name for name in variables if not any(re.search(each, name) for each in config.leave_out)]
    pairs = {name: found.get(name, name) for name in wanted}
    absent = [name for name, there in pairs.items() if there not in source.specs]
    if absent:
        faults.append(
            f"there are no values for {_listed(absent)}; map names of the source to them with `names`, or list them in "
            f"`except`; the source has {_listed(source.specs)}"
        )
    if not pairs:
        faults.append("`except` leaves out all variables; remove warm_start to train from the beginning")
    return {name: there for name, there in pairs.items() if there in source.specs}, faults


def _renamed(
    config: WarmStart, source: Collection[str], variables: Collection[str]
) -> tuple[dict[str, str], list[str]]:
    """The name in the source of each variable of the model that `names` maps, and what is wrong with `names`."""
    found: dict[str, str] = {}
    faults = []
    for old, new in config.names.items():
        pairs = dict(_mapped(old, new, source))
        known = {name: there for name, there in pairs.items() if name in variables}
        if not pairs:
            faults.append(f"names: the source has no variable '{old}'; {_near(old, source)}")
        elif not known:
            faults.append(f"names: the model has no variable '{new}'; {_near(new, variables)}")
        twice = sorted(name for name, there in known.items() if found.get(name, there) != there)
        faults += [f"names: both '{found[name]}' and '{known[name]}' are mapped to '{name}'" for name in twice]
        found |= known
    return found, faults


def _mapped(old: str, new: str, source: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names in the model and in the source of the variables that an entry of `names` stands for."""
    if not old.endswith("/"):
        yield from ((new, name) for name in source if name == old)
        return
    before, after = ("" if end == "/" else end for end in (old, new))
    yield from ((after + name.removeprefix(before), name) for name in source if name.startswith(before))


def _misfits(source: CheckpointReader, taken: Mapping[str, str], variables: Mapping[str, tf.Variable]) -> Sequence[str]:
    faults = []
    for name, there in taken.items():
        has, given = variables[name], source.specs[there]
        if has.shape != given.shape or has.dtype != given.dtype:
            under = "" if there == name else f" as '{there}'"
            faults.append(
                f"'{name}' is {has.dtype.name} {has.shape} in the model, and {given.dtype.name} {given.shape} in the "
                f"source{under}; list it in `except` to begin it anew"
            )
    return faults


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more


def _near(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"there are {_listed(known)}"
