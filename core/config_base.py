"""Base of all sections of the pipeline file."""

import glob
import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationInfo


class Section(BaseModel):
    """An immutable section of the pipeline file that rejects unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_name=False,
        defer_build=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )

    def to_property(self) -> str:
        """Canonical JSON of the section for a step's property; `model_validate_json` reads back an equal section.

        Default values are left out. A default that the file states explicitly therefore changes no cache key, and rules
        about keys that exclude each other see only keys with a meaning.
        """
        return self.model_dump_json(by_alias=True, exclude_defaults=True)


def dump_sections(section_type: Any, sections: Any) -> str:
    """Canonical JSON, for a step's property, of sections whose type is not a single class, such as `Features`."""
    return TypeAdapter(section_type).dump_json(sections, by_alias=True, exclude_defaults=True).decode()


def read_sections(section_type: Any, text: str) -> Any:
    """Reads what `dump_sections` wrote."""
    return TypeAdapter(section_type).validate_json(text)


def is_remote(path: str) -> bool:
    """Whether a path is a URL such as `gs://bucket/x` rather than a local path."""
    return "://" in path


def normalized(url: str) -> str:
    """A URL without trailing or repeated slashes, which would name other objects; a web address as it is."""
    scheme, _, rest = url.partition("://")
    if scheme in ("http", "https"):
        return url
    return f"{scheme}://{re.sub('/+', '/', rest).strip('/')}"


def _join(folder: str, path: str) -> str:
    return os.path.normpath(os.path.join(folder, os.path.expanduser(path)))  # noqa: PTH118, PTH111


def _resolve(path: str, info: ValidationInfo) -> str:
    if not info.context:
        return path
    return normalized(path) if is_remote(path) else _join(info.context["folder"], path)


def _resolve_pattern(pattern: str, info: ValidationInfo) -> str:
    if not info.context:
        return pattern
    return normalized(pattern) if is_remote(pattern) else _join(escape(info.context["folder"]), pattern)


PATH_TYPES = (AfterValidator(_resolve), AfterValidator(_resolve_pattern))
"""Validators in the annotation of a path field."""
FilePath = Annotated[str, PATH_TYPES[0]]
"""A path or URL. In a pipeline file, a relative path is resolved against the folder of the file."""
FilePattern = Annotated[str, PATH_TYPES[1]]
"""A path or URL with or without wildcards. In a pipeline file, a relative pattern is resolved against the folder of the
file, whose own name is taken literally."""


def escape(path: str) -> str:
    """A pattern that matches only the given path, whatever characters it contains."""
    return glob.escape(path).replace("{", "[{]")


def unescape(pattern: str) -> str:
    """Removes the brackets that `escape` puts around single characters."""
    return re.sub(r"\[([*?\[{])\]", r"\1", pattern)


def path_fault(path: str, holds_models: bool = False) -> str | None:
    """Why TensorFlow cannot use a local path, or None.

    Args:
        path: A file or folder, existing or not.
        holds_models: Whether the path holds a SavedModel or a checkpoint. TensorFlow's checkpoint reader takes the path
            for a glob pattern (`TensorSliceReader` calls `GetMatchingPaths`), so a bracket in it matches something
            else.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8, and TensorFlow and its messages take no other; rename it"
    special = next((each for each in "[\\" if each in path), None)
    if holds_models and special:
        return f"TensorFlow's checkpoint reader takes the {special} in this path for a pattern; use a path without it"
    return None


def has_wildcards(pattern: str) -> bool:
    """Whether a pattern may match several paths; escaped wildcards don't count."""
    return re.search(r"[*?\[]", re.sub(r"\[[*?\[{]\]", "", pattern)) is not None
