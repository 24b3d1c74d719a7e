"""Creates TFX components from the declarations in `steps.py`."""

import json
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from pydantic import SerializeAsAny, TypeAdapter
from tfx import types
from tfx.dsl.components.base import base_beam_component, base_component, executor_spec
from tfx.types import component_spec, standard_artifacts
from tfx.utils import import_utils

from hubline.components import module_channels
from hubline.components.step import Step
from hubline.core.code_digest import code_digest
from hubline.core.config_base import Section

_CODE = "code"
_SECTIONS = TypeAdapter(dict[str, SerializeAsAny[Section]])
_NO_MODULES: Mapping[str, types.BaseChannel] = {}


def component(
    step: Step,
    *,
    instance: str | None = None,
    modules: Mapping[str, types.BaseChannel] = _NO_MODULES,
    without: Collection[str] = (),
    **given: Any,
) -> base_component.BaseComponent:
    """Creates a step's TFX component.

    Args:
        step: The declaration.
        instance: Suffix of the id, `<step>.<instance>`, if the pipeline has several steps of this kind.
        modules: Output channels of hub modules and backbones by name, for steps with `takes_modules`.
        without: Optional outputs to omit.
        given: A channel for each input (None for an optional input to omit), and a value for each property: a string or
            integer, a section or a mapping of sections, a JSON-like mapping, or None, which becomes the empty string.

    Raises:
        TypeError: if arguments and declaration don't match.
    """
    _check(step, modules, without, given)
    channels = module_channels.inputs(modules)
    properties = {name: _as_property(given[name]) for name in step.properties}
    if step.is_cached_on_code:
        properties[_CODE] = code_digest(step.module)
    outputs = {
        key: types.Channel(type=_artifact_type(kind)) for key, kind in step.outputs.items() if key not in without
    }
    inputs = {key: given[key] for key in step.inputs if given[key] is not None}
    made = _component_class(step, tuple(inputs), tuple(channels))
    spec = made.SPEC_CLASS(**inputs, **channels, **properties, **outputs)
    return made(spec).with_id(f"{step.name}.{instance}" if instance else step.name)


def _check(step: Step, modules: Mapping[str, Any], without: Collection[str], given: Mapping[str, Any]) -> None:
    declared = step.inputs.keys() | step.properties.keys()
    if declared != given.keys():
        missing, unknown = sorted(declared - given.keys()), sorted(given.keys() - declared)
        raise TypeError(f"{step.name}: not given: {missing}; not declared: {unknown}")
    absent = [key for key in step.inputs if given[key] is None and key not in step.optional_inputs]
    if absent:
        raise TypeError(f"{step.name}: not optional: {absent}")
    if modules and not step.takes_modules:
        raise TypeError(f"{step.name} takes no modules")
    if not set(without) <= set(step.optional_outputs):
        raise TypeError(f"{step.name}: not optional: {sorted(set(without) - set(step.optional_outputs))}")


def _component_class(step: Step, own_inputs: tuple[str, ...], module_inputs: tuple[str, ...]) -> type[Any]:
    """TFX class of a step, with one input per module: on Kubeflow, an input can't hold several artifacts."""
    base = base_beam_component.BaseBeamComponent if step.uses_beam else base_component.BaseComponent
    executor = executor_spec.BeamExecutorSpec if step.uses_beam else executor_spec.ExecutorClassSpec
    inputs = {key: step.inputs[key] for key in own_inputs} | dict.fromkeys(module_inputs, "Model")
    names = [*step.properties, *([_CODE] if step.is_cached_on_code else [])]
    spec = type(
        f"{step.name}Spec",
        (component_spec.ComponentSpec,),
        {
            "PARAMETERS": {
                each: component_spec.ExecutionParameter(type=int if each in step.integers else str) for each in names
            },
            "INPUTS": {key: component_spec.ChannelParameter(type=_artifact_type(kind)) for key, kind in inputs.items()},
            "OUTPUTS": {
                key: component_spec.ChannelParameter(type=_artifact_type(kind), optional=key in step.optional_outputs)
                for key, kind in step.outputs.items()
            },
        },
    )
    members = {
        "SPEC_CLASS": spec,
        "EXECUTOR_SPEC": executor(import_utils.import_class_by_path(step.executor)),
        "__module__": __name__,  # together with the name, the execution type in ML Metadata
    }
    return type(step.name, (base,), members)


@cache
def _artifact_type(name: str) -> type[types.Artifact]:
    return import_utils.import_class_by_path(name) if "." in name else getattr(standard_artifacts, name)


def _as_property(value: Any) -> str | int:
    """Converts a value to an execution property. Sections become canonical JSON, so that equal ones have the same
    text."""
    if isinstance(value, str | int):
        return value
    if value is None:
        return ""
    if isinstance(value, Section):
        return value.to_property()
    if all(isinstance(each, Section) for each in value.values()):
        return _SECTIONS.dump_json(value, by_alias=True, exclude_defaults=True).decode()
    return json.dumps(dict(value), sort_keys=True)
