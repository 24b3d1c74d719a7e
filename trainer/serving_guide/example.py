"""An example record, requests about it, and the exported model's answers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from hubline.core import storage
from hubline.core.json_arrays import BINARY_SUFFIX, as_columns, as_rows, dumps, plain
from hubline.preprocessing.columns import ParsingFeature, ParsingSpec
from hubline.preprocessing.feature_columns import input_names
from hubline.trainer.export_format import CLASSIFY, PREDICT, REGRESS, SERVING
from hubline.trainer.module import Tensor
from hubline.trainer.serving_guide.columns import MISSING, column_array, json_features, only, values_of
from hubline.trainer.serving_guide.interface import Column, Interface, Request, Signature
from hubline.trainer.serving_guide.readme import ANSWERS, REQUESTS, write_readme

Arrays = dict[str, np.ndarray]

CONSIDERED = 64
"""Records among which the example is chosen."""
_METHODS: dict[str, Literal["classify", "regress"]] = {CLASSIFY: "classify", REGRESS: "regress"}


def write_guide(
    path: str,
    spec: ParsingSpec,
    lists: Collection[str],
    signatures: Mapping[str, Callable[..., Any]],
    records: Sequence[bytes],
) -> None:
    """Writes `inputs.json`, `README.md`, and requests with their answers, into the folder of a SavedModel.

    The same model and records give the same bytes.

    Args:
        path: The SavedModel's folder.
        spec: Spec of the raw columns.
        lists: Raw columns of which the signature `PREDICT` takes several values per record.
        signatures: The functions of the SavedModel's signatures.
        records: tf.Examples. The example is the one with the fewest missing columns, of several the smallest.
    """
    example = min((only(record, spec) for record in records), key=lambda each: _missing_and_size(each, spec))
    names = input_names(spec)
    given = {
        name: column_array(spec[column].dtype, column in lists, [values_of(example, column)])
        for column, name in names.items()
    }
    interface = Interface(
        signatures={name: _signature(name, each, given) for name, each in sorted(signatures.items())},
        columns={
            column: _column(name, spec[column], column in lists, given[name], not values_of(example, column))
            for column, name in sorted(names.items())
        },
        requests=tuple(
            request for name, each in sorted(signatures.items()) for request in _ask(path, name, each, given, example)
        ),
    )
    interface.write(path)
    write_readme(path, interface)


def _missing_and_size(example: tf.train.Example, spec: ParsingSpec) -> tuple[int, int]:
    return sum(not values_of(example, column) for column in spec), example.ByteSize()


def _column(name: str, feature: ParsingFeature, is_list: bool, given: np.ndarray, is_left_out: bool) -> Column:
    is_required = isinstance(feature, tf.io.FixedLenFeature)
    dtype = feature.dtype.name
    return Column(
        input=name,
        dtype=dtype,
        is_list=is_list,
        length=given.shape[1] if is_list and is_required else None,
        is_required=is_required,
        missing=None if is_required else MISSING[dtype],
        value=_json(name, given),
        is_left_out=is_left_out,
    )


def _json(name: str, given: np.ndarray) -> Any:
    """The value of one record in strict JSON: numbers that aren't finite as words."""

    def strict(value: Any) -> Any:
        if isinstance(value, list):
            return [strict(each) for each in value]
        return value if not isinstance(value, float) or np.isfinite(value) else str(value).replace("nan", "NaN")

    if given.dtype.kind == "f":
        return strict(np.vectorize(float, otypes=[object])(given.astype(str)).tolist()[0])
    return (given.tolist() if given.dtype != object else plain(name, given))[0]


def _signature(name: str, function: Any, given: Arrays) -> Signature:
    outputs = function.get_concrete_function().structured_outputs
    if name == PREDICT:
        inputs = {each: Tensor(dtype=_dtype(array), shape=(None,) * array.ndim) for each, array in given.items()}
    else:
        inputs = {_only_input(name): Tensor(dtype="string", shape=(None,))}
    return Signature(
        method=_METHODS.get(name, "predict"),
        inputs=dict(sorted(inputs.items())),
        outputs={
            each: Tensor(
                dtype=outputs[each].dtype.name,
                shape=None if outputs[each].shape.rank is None else tuple(outputs[each].shape),
            )
            for each in sorted(outputs)
        },
    )


def _dtype(array: np.ndarray) -> str:
    return "string" if array.dtype == object else array.dtype.name


def _only_input(signature: str) -> str:
    return "examples" if signature == SERVING else tf.saved_model.CLASSIFY_INPUTS  # the same name in Regress


def _ask(path: str, name: str, function: Callable[..., Any], given: Arrays, example: tf.train.Example) -> list[Request]:
    """Asks a signature about the example, and writes the requests and answers."""
    if name == PREDICT:
        answer = _numpy(function({each: tf.constant(array) for each, array in given.items()}))
        columns = {each: plain(each, array) for each, array in sorted(given.items())}
    else:
        serialized = example.SerializeToString(deterministic=True)
        answer = _numpy(function(tf.constant([serialized])))
        if name in _METHODS:
            features = json_features(example)
            results = _classifications(answer) if name == CLASSIFY else answer[tf.saved_model.REGRESS_OUTPUTS][:, 0]
            request = {"signature_name": name, "examples": [features]}
            return [_written(path, name, "examples", request, {"results": results})]
        array = np.empty(1, object)
        array[0] = serialized
        columns = {_only_input(name): plain(BINARY_SUFFIX, array)}
    rows = [{each: values[0] for each, values in columns.items()}]
    return [
        _written(path, name, "rows", {"signature_name": name, "instances": rows}, as_rows(answer)),
        _written(path, name, "columns", {"signature_name": name, "inputs": columns}, as_columns(answer)),
    ]


def _classifications(answer: Arrays) -> list[Any]:
    classes = plain("", answer[tf.saved_model.CLASSIFY_OUTPUT_CLASSES])
    scores = answer[tf.saved_model.CLASSIFY_OUTPUT_SCORES]
    return [[list(pair) for pair in zip(*each, strict=True)] for each in zip(classes, scores, strict=True)]


def _numpy(outputs: Mapping[str, tf.Tensor]) -> Arrays:
    return {name: outputs[name].numpy() for name in sorted(outputs)}


def _written(
    path: str, signature: str, form: Literal["rows", "columns", "examples"], request: Any, answer: Any
) -> Request:
    name = f"{signature}-{form}.json"
    made = Request(signature=signature, form=form, request=f"{REQUESTS}/{name}", answer=f"{ANSWERS}/{name}")
    storage.write_bytes(f"{path}/{made.request}", dumps(request) + b"\n")
    storage.write_bytes(f"{path}/{made.answer}", dumps(answer) + b"\n")
    return made
