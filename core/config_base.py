"""What every section of the pipeline file is made of."""

import glob
import os
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationInfo


class Section(BaseModel):
    """A frozen piece of the pipeline file that refuses unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_name=False,
        defer_build=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )

    def to_property(self) -> str:
        """The section as canonical JSON, to be a step's property; `model_validate_json` reads an equal one back.

        Values that are the default are left out, so a default that a person wrote down changes no cache key, and rules
        about which keys may stand together find only keys that say something.
        """
        return self.model_dump_json(by_alias=True, exclude_defaults=True)


def dump_sections(section_type: Any, sections: Any) -> str:
    """Sections of a type that is not one class, such as `Features`, as canonical JSON to be a step's property."""
    return TypeAdapter(section_type).dump_json(sections, by_alias=True, exclude_defaults=True).decode()


def read_sections(section_type: Any, text: str) -> Any:
    """The sections that `dump_sections` wrote."""
    return TypeAdapter(section_type).validate_json(text)


def is_remote(path: str) -> bool:
    """Whether a path is a URL such as `gs://bucket/x`, rather than a place on this machine."""
    return "://" in path


def _join(folder: str, path: str) -> str:
    return os.path.normpath(os.path.join(folder, os.path.expanduser(path)))  # noqa: PTH118, PTH111


def _resolve(path: str, info: ValidationInfo) -> str:
    return path if is_remote(path) or not info.context else _join(info.context["folder"], path)


def _resolve_pattern(pattern: str, info: ValidationInfo) -> str:
    return pattern if is_remote(pattern) or not info.context else _join(escape(info.context["folder"]), pattern)


PATH_TYPES = (AfterValidator(_resolve), AfterValidator(_resolve_pattern))
"""What the annotation of a field that is a path has besides `str`."""
FilePath = Annotated[str, PATH_TYPES[0]]
"""A path or URL; in a file, a relative one counts from the folder of that file."""
FilePattern = Annotated[str, PATH_TYPES[1]]
"""A path or URL with or without wildcards; in a file, a relative one counts from the folder of that file, whose own
name is taken by its letters."""


def escape(path: str) -> str:
    """A pattern that stands for a path and nothing else, whatever characters are in it."""
    return glob.escape(path).replace("{", "[{]")


def unescape(pattern: str) -> str:
    """A pattern without the brackets that `escape` puts around single characters."""
    return re.sub(r"\[([*?\[{])\]", r"\1", pattern)


def path_fault(path: str, holds_models: bool = False) -> str | None:
    """Why TensorFlow cannot use a local path, or None.

    Args:
        path: Of a file or folder, there or not.
        holds_models: Whether a SavedModel or a checkpoint lies at it. TensorFlow's checkpoint reader takes a path for a
            pattern (`TensorSliceReader` calls `GetMatchingPaths`), so a bracket in it stands for something else.
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
    """Whether a pattern may stand for several paths; what is escaped in it doesn't count."""
    return re.search(r"[*?\[]", re.sub(r"\[[*?\[{]\]", "", pattern)) is not None
