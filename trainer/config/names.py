"""Names that refer to other sections of the pipeline file."""

from typing import Annotated

from pydantic import (
    AfterValidator,
    ValidationInfo,
)


def _known_feature(name: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("features")
    if known is not None and name not in known:
        raise ValueError(f"there is no feature '{name}'; the features are: {', '.join(sorted(known)) or 'none'}")
    return name


FeatureName = Annotated[str, AfterValidator(_known_feature)]


def _known_module(name: str, info: ValidationInfo) -> str:
    hubs, backbones = ((info.context or {}).get(section) for section in ("hubs", "backbones"))
    if hubs is None or backbones is None or name in hubs or name in backbones:
        return name
    raise ValueError(
        f"there is no hub module or backbone '{name}'; the hubs are: {', '.join(sorted(hubs)) or 'none'}; "
        f"the backbones are: {', '.join(sorted(backbones)) or 'none'}"
    )


ModuleName = Annotated[str, AfterValidator(_known_module)]


def _known_hub(name: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("hubs")
    if known is not None and name not in known:
        raise ValueError(f"there is no hub module '{name}'; the hubs are: {', '.join(sorted(known)) or 'none'}")
    return name


HubName = Annotated[str, AfterValidator(_known_hub)]
