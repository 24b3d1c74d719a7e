"""What every section of the pipeline file is made of."""

import os
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationInfo


class Section(BaseModel):
    """A frozen piece of the pipeline file that refuses unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_name=False,
        use_attribute_docstrings=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )

    def to_property(self) -> str:
        """The section as canonical JSON, to be a step's property; `model_validate_json` reads it back."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


def dump_sections(section_type: Any, sections: Any) -> str:
    """Sections of a type that is not one class, such as `Features`, as canonical JSON to be a step's property."""
    return TypeAdapter(section_type).dump_json(sections, by_alias=True, exclude_none=True).decode()


def read_sections(section_type: Any, text: str) -> Any:
    """The sections that `dump_sections` wrote."""
    return TypeAdapter(section_type).validate_json(text)


def is_remote(path: str) -> bool:
    """Whether a path is a URL such as `gs://bucket/x`, rather than a place on this machine."""
    return "://" in path


def _resolve(path: str, info: ValidationInfo) -> str:
    if is_remote(path) or not info.context:
        return path
    return os.path.normpath(os.path.join(info.context["folder"], os.path.expanduser(path)))  # noqa: PTH118, PTH111


FilePath = Annotated[str, AfterValidator(_resolve)]
"""A path or URL; in a file, a relative one counts from the folder of that file."""
