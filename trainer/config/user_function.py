"""A function of the user's own, by its import path."""

from typing import Annotated

from pydantic import Field

from hubline.core.config_base import FilePath, Section
from hubline.trainer.config.hubs import Argument


class UserFunction(Section):
    """A Python function of your own."""

    call: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", examples=["my_models.small:build"])
    """The function, as `module:name`. It is called with `arguments`."""
    folder: FilePath = Field(default=".", min_length=1, validate_default=True)
    """Folder to import the module from; it comes before Python's own path. Default: the folder of the pipeline file."""
    arguments: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Argument] = Field(
        default={}, examples=[{"units": 64, "rate": 0.1}]
    )
    """Keyword arguments of the function: numbers, strings, booleans, and lists of these."""

    @property
    def module(self) -> str:
        return self.call.partition(":")[0]

    @property
    def function(self) -> str:
        return self.call.partition(":")[2]
