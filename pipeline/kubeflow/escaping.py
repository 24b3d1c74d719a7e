"""Escapes text for the languages it passes through: Argo's templates, Kubernetes' variables, YAML 1.1."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from hubline.core.config_errors import Location, PlacedError

_OF_KFP = frozenset({"{{$}}", "{{$.pipeline_job_uuid}}", "{{$.pipeline_job_name}}"})
"""Placeholders of Kubeflow Pipelines itself."""

# https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
_FILLED_IN = {
    "{{": "Argo fills in what begins with {{",
    "$(": "Kubernetes fills in what begins with $(",
    "$$": "Kubernetes makes one $ of two",
}
"""Sequences that must not occur in unescaped texts, and why."""

_YAML_1_1 = re.compile(
    r"""(?xi)
    y | n | yes | no | on | off | true | false | null | ~ | [=<] | <<  # truth, nothing, and keys that mean something
    | [-+]? [0-9][0-9_]* (:[0-5]?[0-9])+ (\.[0-9_]*)?                  # 12:30:45 is a number of seconds
    | [-+]? (0b[01_]+ | 0o?[0-7_]+ | 0x[0-9a-f_]+)                     # 010 is eight
    | [-+]? [0-9.][0-9_.]* (e[-+]?[0-9]+)?                             # 1_000, 1e-05, .5
    | [-+]? \.(inf | nan)
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*                                 # a date
    """
)
"""Plain texts that a YAML 1.1 parser reads as another type (https://yaml.org/type/), regardless of our own parser."""


def argument(value: Any) -> str:
    """Encodes a value as JSON for a container argument that neither Argo nor Kubernetes changes.

    JSON strings may contain any character as an escape, and `{{` and `$` occur nowhere else in JSON.
    """
    return json.dumps(value, separators=(",", ":")).replace("{{", "{\\u007b").replace("$", "\\u0024")


def filled_in(value: Any, by_kubernetes: bool, location: Location = ()) -> Iterator[PlacedError]:
    """Finds texts that would not arrive in a container unchanged.

    Args:
        value: A text, or nested mappings and lists of texts.
        by_kubernetes: Whether the value becomes part of a command, which Kubernetes expands too.
        location: Location of the value.

    Yields:
        The location of each text, and why it would change.
    """
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from filled_in(each, by_kubernetes, (*location, key))
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield from filled_in(each, by_kubernetes, (*location, place))
    elif isinstance(value, str) and value not in _OF_KFP:
        for text, why in _FILLED_IN.items():
            if text in value and (by_kubernetes or text == "{{"):
                yield location, f"{why}, so {value!r} would not arrive as it is; use another name"


class _Representer(SafeRepresenter):
    """Writes plain YAML that YAML 1.1 and 1.2 parsers read alike."""

    def ignore_aliases(self, data: Any) -> bool:
        """Writes repeated values out instead of using aliases, for readability."""
        return True


def _text(representer: SafeRepresenter, value: str) -> ScalarNode:
    style = '"' if _YAML_1_1.fullmatch(value) or not value.isprintable() else None
    return representer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _number(representer: SafeRepresenter, value: float) -> ScalarNode:
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    if e and "." not in mantissa:
        text = f"{mantissa}.0e{exponent}"  # YAML 1.1 floats with an exponent need a decimal point
    return representer.represent_scalar("tag:yaml.org,2002:float", text)


_Representer.add_representer(str, _text)
_Representer.add_representer(float, _number)


def yaml() -> YAML:
    """A YAML writer whose output all YAML parsers read alike."""
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    return writer
