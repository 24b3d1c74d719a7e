"""Validation of records against a contract, by a table of rules."""

from collections.abc import Mapping

import tensorflow as tf

from hubline.components.example_gen.contract import ColumnTypes, Contract
from hubline.components.example_gen.records import columns_of, label_type, value_type
from hubline.components.example_gen.rules.boxes import BoxRule
from hubline.components.example_gen.rules.classes import ClassRule
from hubline.components.example_gen.rules.images import ClipRule, ImageRule, MaskRule
from hubline.components.example_gen.rules.keys import KeyRule
from hubline.components.example_gen.rules.numbers import NumberRule
from hubline.components.example_gen.rules.pixels import pixel_rule
from hubline.components.example_gen.rules.rule import Rule
from hubline.components.example_gen.rules.sounds import SoundRule
from hubline.components.example_gen.rules.weights import WeightRule
from hubline.core.errors import DataError

_NO_COLUMN = "hubline.none"


def rules_of(contract: Contract) -> tuple[Rule, ...]:
    """The table of rules. The first rule that a record breaks describes its fault."""
    rules = [_image_rule(name, contract) for name in contract.images]
    rules += [SoundRule(name) for name in contract.sounds]
    rules += [MaskRule(name) for name in contract.masks]
    # A column of numbers may hold the names of classes instead, if there is no label of classes.
    names = None if contract.label else contract.classes
    rules += [NumberRule(name, contract.positive, contract.indicators, names) for name in contract.numbers]
    if contract.weight:
        rules.append(WeightRule(contract.weight))
    if contract.label:
        rules.append(
            ClassRule(contract.label, contract.classes, contract.several, other_names=contract.boxes is not None)
        )
    if contract.label and contract.boxes:
        rules.append(BoxRule(contract.label, contract.boxes.sides, contract.boxes.size, contract.classes))
    if contract.group:
        rules.append(KeyRule(contract.group, "group"))
    if contract.stratify:
        rules.append(KeyRule(contract.stratify, "class to stratify by"))
    return tuple(rules)


def _image_rule(column: str, contract: Contract) -> Rule:
    if stored := dict(contract.pixels).get(column):
        return pixel_rule(column, stored)
    return ClipRule(column) if column in contract.clips else ImageRule(column)


def kind_of(record: bytes, contract: Contract, before: ColumnTypes | None = None) -> ColumnTypes:
    """Determines the dtypes of a file's records.

    Args:
        record: A serialized record that meets the contract.
        contract: The contract.
        before: Dtypes known from earlier records, if any; this record may complete them.
    """
    if before is not None and before.label:
        return before
    columns = columns_of(record)
    return ColumnTypes(
        label=label_type(columns, contract.label) if contract.label else "int64",
        numbers=tuple(value_type(columns[name]) for name in contract.typed),
    )


def are_sound(records: tf.Tensor, contract: Contract, kind: ColumnTypes) -> tf.Tensor:
    """Validates a batch of records in TensorFlow's C++. Agrees with `find_fault`, which validates one record and gives
    the reason.

    Args:
        records: Serialized `tf.Example`s, string [batch].
        contract: The contract.
        kind: Dtypes of the file's records.

    Returns:
        bool [batch].

    Raises:
        tf.errors.InvalidArgumentError: if an item is not a `tf.Example`, or a column has another dtype.
    """
    rules, known = rules_of(contract), kind.dtypes(contract)
    dtypes = {name: dtype for rule in rules for name, dtype in rule.dtypes(known).items()}
    if not rules:  # still detects what is not a tf.Example
        dtypes = {_NO_COLUMN: tf.int64}
    spec = {name: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64) for name, dtype in dtypes.items()}
    parsed: Mapping[str, tf.RaggedTensor] = tf.io.parse_example(records, spec)
    sound = next(iter(parsed.values())).row_lengths() >= 0
    for rule in rules:
        sound &= rule.mask(parsed)
    return sound


def find_fault(record: bytes, contract: Contract, kind: ColumnTypes | None = None) -> str | None:
    """Describes the fault of a serialized record; None if it has none.

    Args:
        record: The serialized record.
        contract: The contract.
        kind: Dtypes of earlier records of the file, if any.
    """
    try:
        columns = columns_of(record)
    except DataError as error:
        return str(error)
    known = kind.dtypes(contract) if kind else {}
    return next(filter(None, (rule.fault(columns, known) for rule in rules_of(contract))), None)
