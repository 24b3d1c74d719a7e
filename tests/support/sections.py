"""Generates valid sections of the pipeline file from their types."""

import datetime
import types
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from hypothesis import strategies as st
from pydantic import AfterValidator, BeforeValidator, ValidationError, WrapValidator
from pydantic.fields import FieldInfo

from hubline.core.config_base import Section
from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.preprocessing.kinds.image_crop import CropBox
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.config.tuning import Tune

TEXTS = st.sampled_from(["a", "b c", "ünï", "10", "true", "${x}", "a.b", "x-y", "'q'", "1e3"])
_VALIDATORS = (AfterValidator, BeforeValidator, WrapValidator)

_KNOWN: dict[str, list[Any]] = {
    "_known_zone": ["UTC", "Europe/Berlin"],
    "_quantity": ["500m", "2Gi", "4"],
    "_root": ["gs://bucket/runs", "s3://bucket/runs"],
    "_readable": ["a > 1", "tips > 0.2 * fare"],
    "_read": ["0 3 * * *", "*/5 1,2 * * 1-5"],
    "_pattern": ["block4", ".*/gamma"],
    "_joinable": ["SchemaGen", "DataGate", "ExampleValidator"],
}
"""Texts that each validator accepts, by its name."""


def members(annotation: Any) -> list[type[Section]]:
    """Section types that a union directly consists of, or that are the values of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return members(arguments[1])
    return [each for argument in arguments for each in members(argument)]


def section_types(annotation: Any) -> set[type[Section]]:
    """Section types that a value of an annotation can contain, including itself."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        fields = (field.annotation for field in annotation.model_fields.values())
        return {annotation}.union(*map(section_types, fields))
    return set().union(*map(section_types, get_args(annotation)))


def sections(section_type: type[Section]) -> st.SearchStrategy[Section]:
    """Valid sections of a type, each as parsed from what a user may write."""
    return written_sections(section_type).map(lambda pair: pair[1])


def written_sections(section_type: type[Section]) -> st.SearchStrategy[tuple[dict[str, Any], Section]]:
    """What a user may write for a section of a type, and the section parsed from it."""

    def read(values: dict[str, Any]) -> tuple[dict[str, Any], Section] | None:
        try:
            return values, section_type.model_validate(values)
        except ValidationError:
            return None

    return written(section_type).map(read).filter(lambda pair: pair is not None)


_FEW: dict[type[Section], int] = {Optimizer: 2, Training: 4}
"""Maximum number of optional keys for sections most of whose keys exclude each other."""


@st.composite
def _boxes(draw: st.DrawFn) -> dict[str, Any]:
    in_pixels = draw(st.booleans())
    edge = st.integers(0, 10**6) if in_pixels else st.floats(0.0, 1.0)
    (top, bottom), (left, right) = (sorted(draw(st.lists(edge, min_size=2, max_size=2, unique=True))) for _ in "yx")
    units = {"units": "pixels"} if in_pixels else draw(st.sampled_from([{}, {"units": "shares"}]))
    return {"top": top, "left": left, "bottom": bottom, "right": right} | units


_TUNE = st.fixed_dictionaries(
    {"training.optimizer.learning_rate": st.sampled_from([{"log": [1e-5, 0.25]}, {"choice": [0.5, 1e-3]}])},
    optional={
        "model.head.hidden": st.just({"choice": [[64], [64, 32]]}),
        "training.optimizer": st.just({"choice": [{"name": "adam"}, {"name": "sgd", "nesterov": None}]}),
        "training.batch_size": st.just({"int": [2, 64], "step": 2, "sampling": "log"}),
        "objective": st.just("val_accuracy"),
        "search": st.sampled_from(["bayesian", "random", "hyperband", "grid"]),
        "prune": st.sampled_from(["median", False]),
        "trials": st.integers(1, 10_000),
        "seed": st.integers(0, 2**31),
    },
)
_AUDIO = st.fixed_dictionaries(
    {"kind": st.just("audio"), "sample_rate": st.integers(8000, 48_000)},
    optional={"from": TEXTS, "cut": st.sampled_from(["start", "center"])},
).flatmap(
    lambda keys: st.sampled_from([{"seconds": 1}, {"seconds": 0.25}, {"samples": 4000}]).map(lambda one: keys | one)
)
_OWN: dict[type[Section], st.SearchStrategy[dict[str, Any]]] = {
    AudioFeature: _AUDIO,
    CropBox: _boxes(),
    Tune: _TUNE,
}
"""Strategies for sections whose rules refuse nearly all combinations of values."""


def written(section_type: type[Section]) -> st.SearchStrategy[dict[str, Any]]:
    """What a user may write for a section of a type; rules within the section may refuse it."""
    if section_type in _OWN:
        return _OWN[section_type]
    required, optional = {}, {}
    for name, field in section_type.model_fields.items():
        holder = required if field.is_required() else optional
        holder[field.alias or name] = _values(field.annotation, field)
    if section_type not in _FEW:
        return st.fixed_dictionaries(required, optional=optional)
    chosen = st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=_FEW[section_type])
    return chosen.flatmap(lambda names: st.fixed_dictionaries(required | {name: optional[name] for name in names}))


def _values(annotation: Any, field: FieldInfo | None = None) -> st.SearchStrategy[Any]:
    """Values of an annotation; for a field, within its bounds."""
    metadata = list(field.metadata) if field else []
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        inner = next((each for each in annotation.__metadata__ if isinstance(each, FieldInfo)), None)
        found = [*metadata, *(inner.metadata if inner else ()), *annotation.__metadata__]
        return _bounded(annotation.__origin__, found)
    if origin in (Union, types.UnionType):
        return st.one_of([_bounded(each, metadata) for each in arguments])
    return _bounded(annotation, metadata)


def _bounded(annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    validators = [each for each in metadata if isinstance(each, _VALIDATORS)]
    known = [value for each in validators for value in _KNOWN.get(each.func.__name__, ())]
    origin, arguments = get_origin(annotation), get_args(annotation)
    fewest = next((each.min_length for each in metadata if isinstance(each, MinLen)), 0)
    most = next((each.max_length for each in metadata if isinstance(each, MaxLen)), None)
    if known and annotation is str:
        return st.sampled_from(known)
    if hasattr(annotation, "__metadata__"):
        return _values(annotation)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of([_bounded(each, metadata) for each in arguments])
    if origin is list or (origin is tuple and arguments[-1] is Ellipsis):
        return st.lists(_values(arguments[0]), min_size=fewest, max_size=min(most or 4, fewest + 3))
    if origin is tuple:
        return st.tuples(*map(_values, arguments)).map(list)
    if origin is dict:
        return st.dictionaries(_values(arguments[0]), _values(arguments[1]), min_size=fewest, max_size=fewest + 2)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return st.deferred(lambda: written(annotation))
    return _scalars(annotation, metadata, fewest, most)


def _scalars(annotation: Any, metadata: list[Any], fewest: int, most: int | None) -> st.SearchStrategy[Any]:
    least, above = (_bound(metadata, kind) for kind in (Ge, Gt))
    greatest, below = (_bound(metadata, kind) for kind in (Le, Lt))
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.integers(least if least is not None else -(2**40), greatest if greatest is not None else 2**40)
    if annotation is float:
        low, high = (least if least is not None else above), (greatest if greatest is not None else below)
        return st.floats(
            low if low is not None else -1e9,
            high if high is not None else 1e9,
            exclude_min=low is not None and least is None,
            exclude_max=high is not None and greatest is None,
        )
    if annotation is datetime.datetime:
        return st.datetimes(datetime.datetime(2020, 1, 1)).map(str)
    if annotation in (None, types.NoneType):
        return st.none()
    assert annotation is str, annotation
    pattern = next((found for each in metadata if (found := getattr(each, "pattern", None))), None)
    if pattern:
        return st.from_regex(pattern, alphabet=st.characters(codec="ascii")).filter(
            lambda text: text == text.strip() and (most is None or len(text) <= most)
        )
    return TEXTS


def _bound(metadata: list[Any], kind: type) -> Any:
    field = kind.__name__.lower()
    return next((getattr(each, field) for each in metadata if isinstance(each, kind)), None)
