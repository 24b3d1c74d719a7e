"""Text that crosses from a package into other languages: Argo's templates, Kubernetes' variables, YAML 1.1."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

_OF_KFP = frozenset({"{{$}}", "{{$.pipeline_job_uuid}}", "{{$.pipeline_job_name}}"})
"""What Kubeflow Pipelines itself fills in."""

# https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
_FILLED_IN = {
    "{{": "Argo fills in what begins with {{",
    "$(": "Kubernetes fills in what begins with $(",
    "$$": "Kubernetes makes one $ of two",
}
"""What texts must not contain that go to a cluster as they are, and why."""

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
"""Texts that a reader of YAML 1.1 takes for something else (https://yaml.org/type/), whatever our own would do."""


def argument(value: Any) -> str:
    """A value as JSON that a container is started with, which neither Argo nor Kubernetes changes on its way there.

    Inside a text of JSON each character may be written as its code, and `{{` and `$` stand nowhere else in JSON.
    """
    return json.dumps(value, separators=(",", ":")).replace("{{", "{\\u007b").replace("$", "\\u0024")


def filled_in(value: Any, where: str, by_kubernetes: bool) -> Iterator[str]:
    """The texts in a value that would not arrive in a container as they are: where each is, and why.

    Args:
        value: A text, or mappings and lists of them.
        where: Where it is, for the answer.
        by_kubernetes: Whether it becomes part of a command, which Kubernetes changes too.
    """
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from filled_in(each, f"{where}.{key}" if where else str(key), by_kubernetes)
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield from filled_in(each, f"{where}[{place}]", by_kubernetes)
    elif isinstance(value, str) and value not in _OF_KFP:
        for text, why in _FILLED_IN.items():
            if text in value and (by_kubernetes or text == "{{"):
                yield f"{where}: {why}, so {value!r} would not arrive as it is; use another name"


class _Representer(SafeRepresenter):
    """Plain YAML that a reader of YAML 1.1 and one of 1.2 read alike."""

    def ignore_aliases(self, data: Any) -> bool:
        """What is the same twice is written twice, to be read."""
        return True


def _text(representer: SafeRepresenter, value: str) -> ScalarNode:
    style = '"' if _YAML_1_1.fullmatch(value) or not value.isprintable() else None
    return representer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _number(representer: SafeRepresenter, value: float) -> ScalarNode:
    text = repr(value)
    mantissa, e, exponent = text.partition("e")
    if e and "." not in mantissa:
        text = f"{mantissa}.0e{exponent}"  # YAML 1.1 has no number without a point and with an exponent
    return representer.represent_scalar("tag:yaml.org,2002:float", text)


_Representer.add_representer(str, _text)
_Representer.add_representer(float, _number)


def yaml() -> YAML:
    """Writes what every reader of YAML reads alike."""
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = False
    return writer
