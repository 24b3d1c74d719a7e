"""Reads a pipeline file into its types, or reports all errors in it."""

import codecs
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from hubline.core.config_errors import Location, dotted
from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile, PipelineFile
from hubline.pipeline.diagnostics import Diagnostic, PipelineFileError, quote
from hubline.pipeline.kubeflow.run_parameters import of_schedule
from hubline.pipeline.settings import Setting, assign, read_settings
from hubline.pipeline.validate import InvalidFile, json_schema_of, validate
from hubline.pipeline.yaml_text.fault import YamlFault
from hubline.pipeline.yaml_text.parse import NotYamlError, parse

_STDIN = "<stdin>"
_MOST_BYTES = 4_000_000
_MOST_VALUES = 200_000
"""Maximum number of values after aliases are expanded: far more than any pipeline has, and few enough to check."""


class Source:
    """Text of a pipeline file, with the line of each key, and what the command line changes in the file."""

    def __init__(self, path: Path, settings: Sequence[Setting] = (), base: Path | None = None) -> None:
        self.path = path
        self.name = _STDIN if str(path) == "-" else str(path)
        """The file, for messages."""
        self._base = base
        self._settings = {setting.key: setting for setting in settings}
        text = _read(path)
        try:
            parsed = parse(text, self._refuse_what_expands_without_end)
        except NotYamlError as error:
            raise PipelineFileError(map(self._not_yaml, error.faults)) from None
        except ReaderError as error:
            line = text.count("\n", 0, error.position)
            fault = YamlFault(line, 0, f"the character {error.character!r} is not allowed")
            raise PipelineFileError([self._not_yaml(fault)]) from None
        except (YAMLError, ValueError, RecursionError) as error:
            raise PipelineFileError([self._not_yaml(YamlFault(0, 0, str(error)))]) from None
        self._root: Node | None = parsed.root
        self.values = parsed.values
        self.faults = [self._not_yaml(fault) for fault in parsed.faults]
        """Errors in YAML that don't keep the file from being read."""
        if isinstance(self.values, dict):
            self._apply_settings()

    def _apply_settings(self) -> None:
        for key, setting in self._settings.items():
            if fault := assign(self.values, key, setting.value):
                raise PipelineFileError([Diagnostic("--set", 0, dotted(key), fault)])

    @property
    def folder(self) -> str:
        """Folder that relative paths are resolved against: the file's, unless another is given."""
        return str(self._base.absolute() if self._base else self.path.absolute().parent)

    def _refuse_what_expands_without_end(self, root: Node | None) -> None:
        """Rejects aliases of aliases, which turn a few lines into gigabytes, and aliases of themselves, which never
        end."""
        sizes: dict[int, int] = {}

        def size(node: Node, above: frozenset[int]) -> int:
            if id(node) in above:
                raise NotYamlError(_at(node, "an alias refers to a node that contains it"))
            if id(node) not in sizes:
                pairs = node.value if isinstance(node, MappingNode | SequenceNode) else ()
                inside = [each for pair in pairs for each in (pair if isinstance(pair, tuple) else (pair,))]
                sizes[id(node)] = 1 + sum(size(each, above | {id(node)}) for each in inside)
                if sizes[id(node)] > _MOST_VALUES:
                    problem = f"aliases make more than {_MOST_VALUES:,} values of this; write out what is meant"
                    raise NotYamlError(_at(node, problem))
            return sizes[id(node)]

        if root:
            size(root, frozenset())

    def _not_yaml(self, fault: YamlFault) -> Diagnostic:
        message = f"not YAML: column {fault.column + 1}: {fault.message}"
        return Diagnostic(self.name, fault.line + 1, "", message)

    def diagnostic(self, location: Location, message: str) -> Diagnostic:
        """An error at a location in the file; if the location doesn't exist, at the enclosing key."""
        if self._setting_at(location):
            return Diagnostic("--set", 0, dotted(location), message)
        line, shown, _ = self._find(location)
        return Diagnostic(self.name, line, shown, message)

    def text(self, location: Location) -> str | None:
        """How the scalar at a location is written; None if there is none or it is quoted."""
        setting = self._setting_at(location)
        node = _inside(setting.node, location[len(setting.key) :]) if setting else self._find(location)[2]
        return node.value if isinstance(node, ScalarNode) and node.style is None else None

    def _setting_at(self, location: Location) -> Setting | None:
        """The setting that a location is in."""
        starts = (location[:length] for length in range(1, len(location) + 1))
        return next((self._settings[start] for start in starts if start in self._settings), None)

    def unquoted(self, read: Any, values: Any = None, place: Location = ()) -> Iterator[Diagnostic]:
        """Finds strings that YAML reads as numbers with another text: `01` as 1, `1.10` as 1.1.

        Args:
            read: Validated contents of the file, in the form of the file.
            values: Raw contents of the file.
            place: The location.
        """
        values = self.values if not place else values
        if isinstance(values, Mapping) and isinstance(read, Mapping):
            pairs: Any = ((key, values[key], read[key]) for key in values if key in read)
        elif isinstance(values, list) and isinstance(read, list | tuple) and len(values) == len(read):
            pairs = zip(range(len(values)), values, read, strict=True)
        else:
            pairs = ()
            text = self.text(place) if isinstance(values, int | float) and isinstance(read, str) else None
            if text not in (None, read):
                yield self.diagnostic(place, quote(text, values))
        for step, value, made in pairs:
            yield from self.unquoted(made, value, (*place, step))

    def _find(self, location: Location) -> tuple[int, str, Node | None]:
        """Line and name of a location, and the node there, if any."""
        node, line = self._root, (self._root.start_mark.line if self._root else 0)
        shown = ""
        for step in location:
            if isinstance(node, SequenceNode) and isinstance(step, int):
                shown += f"[{step}]"
                node = node.value[step] if step < len(node.value) else None
                line = node.start_mark.line if node else line
            elif step != "[key]":
                shown += f".{step}" if shown else str(step)
                key, node = _entry(node, step)
                line = key.start_mark.line if key else line
        return line + 1, shown, node


def _read(path: Path) -> str:
    """Text of a file.

    Raises:
        UserError: if there is none.
    """
    if str(path) == "-":
        return _decoded(sys.stdin.buffer.read(_MOST_BYTES + 1), _STDIN)
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise UserError(f"{path}: {size:,} bytes; the limit for a pipeline file is {_MOST_BYTES:,}")
        return _decoded(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: this is a folder; pass the pipeline file in it") from None


def _decoded(content: bytes, name: str) -> str:
    if len(content) > _MOST_BYTES:
        raise UserError(f"{name}: the limit for a pipeline file is {_MOST_BYTES:,} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        found = "this is UTF-16; save it as UTF-8" if is_utf_16 else f"not valid UTF-8 (byte {error.start})"
        raise UserError(f"{name}: {found}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _at(node: Node, message: str) -> YamlFault:
    return YamlFault(node.start_mark.line, node.start_mark.column, message)


def _entry(node: Node | None, step: str | int) -> tuple[Node | None, Node | None]:
    """The key and the value of an entry of a mapping, if there is one."""
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next(((key, value) for key, value in pairs if key.value == str(step)), (None, None))


def _inside(node: Node | None, location: Location) -> Node | None:
    """The node at a location inside a node, if there is one."""
    for step in location:
        if isinstance(node, SequenceNode) and isinstance(step, int):
            node = node.value[step] if step < len(node.value) else None
        else:
            node = _entry(node, step)[1]
    return node


@dataclass(frozen=True)
class Reading:
    """What a pipeline file says, as far as it is valid."""

    source: Source
    task: str
    file: AnyFile | None
    """None if it has errors."""
    sections: Mapping[str, Any]
    """The valid sections by name."""
    parts: Mapping[str, Any] = field(default_factory=dict)
    """What is valid of the others."""
    diagnostics: tuple[Diagnostic, ...] = ()
    """All errors in the file."""


def read(path: Path, settings: Sequence[str] = (), base: Path | None = None) -> Reading:
    """Reads the pipeline file at `path`.

    Relative paths become absolute.

    Args:
        path: The file; `-` for standard input.
        settings: Values to change, as `KEY=VALUE`.
        base: Folder that relative paths are resolved against; None for the file's, or the current one.

    Raises:
        PipelineFileError: if the file is not YAML.
        UserError: if there is no readable file, or a setting is malformed.
    """
    source = Source(path, read_settings(settings), base)
    if not isinstance(source.values, Mapping):
        right = source.diagnostic((), "a pipeline file is a mapping of keys such as name, data, features")
        raise PipelineFileError([*source.faults, right])
    task = str(source.values.get("task", "train"))
    file: AnyFile | None = None
    sections: Mapping[str, Any] = {}
    parts: Mapping[str, Any] = {}
    errors = [*source.faults]
    try:
        file = validate(source.values, source.folder, source.text)
        sections = {name: getattr(file, name) for name in type(file).model_fields}
        of_schedule(file, source, for_cluster=False)
    except InvalidFile as invalid:
        sections, parts = invalid.sections, invalid.parts
        errors += [source.diagnostic(*error) for error in invalid.errors]
    except PipelineFileError as error:
        errors += error.diagnostics
    errors += source.unquoted({name: _as_written(section) for name, section in sections.items()})
    return Reading(source, task, None if errors else file, sections, parts, tuple(errors))


def load(path: Path, settings: Sequence[str] = ()) -> tuple[AnyFile, Source]:
    """Reads the pipeline file at `path`; also returns its text, for locating later errors.

    Args:
        path: The file.
        settings: As in `read`.

    Raises:
        PipelineFileError: with all errors in the file.
    """
    reading = read(path, settings)
    if reading.file is None:
        raise PipelineFileError(reading.diagnostics)
    return reading.file, reading.source


def _as_written(section: Any) -> Any:
    """A valid section in the form of the file."""
    if isinstance(section, BaseModel):
        return section.model_dump(by_alias=True)
    return {key: _as_written(value) for key, value in section.items()} if isinstance(section, dict) else section


def load_training(path: Path, command: str) -> tuple[PipelineFile, Source]:
    """Reads a pipeline file that trains a model.

    Raises:
        UserError: also if the file has another task; names the command.
    """
    file, source = load(path)
    if not isinstance(file, PipelineFile):
        raise UserError(f"{path}: has task: {file.task}; {command} needs a file that trains a model")
    return file, source


@cache
def json_schema() -> dict[str, Any]:
    """JSON schema of the pipeline file, for editors; `then` is the schema for `task: infer`."""
    train, infer = ({**json_schema_of(task)} for task in ("train", "infer"))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hubline pipeline file",
        "$defs": train.pop("$defs") | infer.pop("$defs"),
        "if": {"type": "object", "properties": {"task": {"const": "infer"}}, "required": ["task"]},
        "then": infer,
        "else": train,
    }
