"""Steps of a pipeline as nodes of a graph, without TFX: what each step gets, and from which other steps."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from pydantic import SerializeAsAny, TypeAdapter

from hubline.components.module_keys import input_key
from hubline.components.step import Step
from hubline.core.code_digest import code_digest
from hubline.core.config_base import Section

CODE = "code"
"""Property with the digest of the executor's code."""

_SECTIONS = TypeAdapter(dict[str, SerializeAsAny[Section]])


@dataclass(frozen=True)
class Output:
    """An output of a step, as the input of others."""

    step: str
    """Id of the step that makes it."""
    key: str
    kind: str
    """Artifact type, as in `Step.outputs`."""


_NO_MODULES: Mapping[str, Output] = {}


@dataclass
class Node:
    """A step of a pipeline."""

    step: Step
    id: str
    inputs: Mapping[str, Output]
    exec_properties: Mapping[str, str | int]
    """With the inputs, all that the step's result depends on: the cache key."""
    outputs: Mapping[str, Output]
    awaits: list[str] = field(default_factory=list)
    """Ids of steps that this one waits for without reading their outputs."""

    def wait_for(self, *nodes: "Node") -> None:
        """Lets the step start after others, whose outputs it doesn't read."""
        self.awaits += [each.id for each in nodes]

    @property
    def reads(self) -> set[str]:
        """Ids of the steps whose outputs this one reads."""
        return {output.step for output in self.inputs.values()}

    @property
    def upstream(self) -> set[str]:
        """Ids of the steps that must end before this one starts."""
        return self.reads.union(self.awaits)


def node(
    step: Step,
    *,
    instance: str | None = None,
    modules: Mapping[str, Output] = _NO_MODULES,
    without: Collection[str] = (),
    **given: Any,
) -> Node:
    """Creates a step of a pipeline.

    Args:
        step: The declaration.
        instance: Suffix of the id, `<step>.<instance>`, if the pipeline has several steps of this kind.
        modules: Outputs of hub modules and backbones by name, for steps with `takes_modules`.
        without: Optional outputs to omit.
        given: An output for each input (None for an optional input to omit), and a value for each property: a string or
            integer, a section or a mapping of sections, a JSON-like mapping, or None, which becomes the empty string.

    Raises:
        TypeError: if arguments and declaration don't match.
    """
    _check(step, modules, without, given)
    name = f"{step.name}.{instance}" if instance else step.name
    properties = {key: _as_property(given[key]) for key in step.properties}
    if step.is_cached_on_code:
        properties[CODE] = code_digest(step.module)
    return Node(
        step,
        name,
        {key: given[key] for key in step.inputs if given[key] is not None}
        | {input_key(module): output for module, output in modules.items()},
        properties,
        {key: Output(name, key, kind) for key, kind in step.outputs.items() if key not in without},
    )


def downstream(nodes: Iterable[Node], chosen: Collection[str]) -> set[str]:
    """Ids of the chosen steps, and of all that read their outputs, directly or indirectly.

    Args:
        nodes: All steps, each after those that it reads.
        chosen: Ids of steps.
    """
    found = set(chosen)
    for each in nodes:
        if each.reads & found:
            found.add(each.id)
    return found


def upstream(nodes: Iterable[Node], chosen: str) -> set[str]:
    """Ids of a step, and of all that must run before it."""
    by_id = {each.id: each for each in nodes}
    found: set[str] = set()
    waiting = [chosen]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += by_id[name].upstream
    return found


def in_order(nodes: Iterable[Node]) -> list[Node]:
    """The steps in the order in which TFX's local runner runs them: in layers, each by name."""
    by_id = {each.id: each for each in nodes}
    order = TopologicalSorter({name: each.upstream for name, each in by_id.items()})
    order.prepare()
    found: list[Node] = []
    while layer := sorted(order.get_ready()):
        order.done(*layer)
        found += (by_id[name] for name in layer)
    return found


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
