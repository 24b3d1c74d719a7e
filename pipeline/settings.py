"""Values of a pipeline file that are set elsewhere: on the command line, or as overrides of a run on Kubeflow."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node

from hubline.core.config_errors import Location, dotted
from hubline.core.errors import UserError


class Setting(NamedTuple):
    """A value of `--set`."""

    key: Location
    value: Any
    node: Node | None
    """The value as it is written; None if it is empty."""


def read_settings(texts: Iterable[str]) -> tuple[Setting, ...]:
    """Parses `KEY=VALUE` options. Keys are dotted, values are YAML.

    Raises:
        UserError: if an option is malformed, or a key is set twice.
    """
    settings: dict[Location, Setting] = {}
    for text in texts:
        name, equals, written = text.partition("=")
        if not (name and equals):
            raise UserError(f"--set {text}: must be KEY=VALUE, such as training.epochs=3")
        key = location_of(name)
        if key in settings:
            raise UserError(f"--set {name}: is set twice")
        yaml = YAML(typ="safe", pure=True)
        try:
            settings[key] = Setting(key, yaml.load(written), yaml.compose(written))
        except (YAMLError, ValueError) as error:
            problem = error.problem if isinstance(error, MarkedYAMLError) else error
            raise UserError(f"--set {text}: the value is not YAML: {problem}") from None
    return tuple(settings.values())


def location_of(key: str) -> Location:
    """Location of a dotted key. Keys in `tune` contain dots themselves."""
    section, _, inside = key.partition(".")
    return (section, inside) if section == "tune" and inside else tuple(key.split("."))


def assign(values: dict[Any, Any], key: Location, value: Any) -> str | None:
    """Sets a value in nested mappings; returns an error if something else than a mapping is in the way.

    The mappings on the way are replaced by copies, because YAML's aliases make one mapping of several keys.
    """
    for depth, step in enumerate(key[:-1], 1):
        inner = values.get(str(step))
        if not isinstance(inner, dict | None):
            return f"{dotted(key[:depth])} is {inner!r}, which has no keys"
        values[str(step)] = values = dict(inner or {})
    values[str(key[-1])] = value
    return None
