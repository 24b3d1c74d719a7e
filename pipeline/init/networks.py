"""Connects features with the hub module and the backbone that take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hubline.core.errors import UserError
from hubline.pipeline.init.backbone import BackboneChoice
from hubline.pipeline.init.column_profile import ColumnProfile, ModuleInput, ModuleProfile
from hubline.pipeline.init.feature import FeatureSuggestion
from hubline.pipeline.init.feeds import SHOWN, Feeds, feeds_of
from hubline.pipeline.init.kinds import Settings


@dataclass(frozen=True)
class Networks:
    """Networks for images, clips, texts and sounds."""

    module: ModuleProfile | None = None
    backbone: BackboneChoice | None = None
    """For images."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Columns that the user says feed inputs of the module, by input."""

    def fed(self, columns: Sequence[ColumnProfile]) -> Feeds:
        """The inputs that each column feeds, by column; empty if the module has a single input, of which the user says
        nothing: each column that fits then feeds one.

        Raises:
            UserError: as `feeds_of` does.
        """
        return feeds_of(self.module, columns, self.inputs) if self.module else {}

    @property
    def only_input(self) -> ModuleInput | None:
        """The input of the module, if there is a single one."""
        return self.module.only_input if self.module else None


@dataclass(frozen=True)
class UsedNetworks:
    """Sections of the pipeline file, and the features that they take."""

    features: frozenset[str]
    hubs: dict[str, Settings]
    backbones: dict[str, Settings]


def networks_use(networks: Networks, features: Sequence[FeatureSuggestion]) -> UsedNetworks:
    """Connects features to the networks.

    Args:
        networks: The networks.
        features: All features.

    Raises:
        UserError: if a network takes none of the features, or both take images.
    """
    module, backbone = networks.module, networks.backbone
    of_backbone = [feature for feature in features if backbone and feature.settings["kind"] == "image"]
    hubs = _hubs(module, features) if module else {}
    of_module = {feature for hub in hubs.values() for feature in hub["inputs"].values()}
    if module and not hubs:
        shown = ", ".join(SHOWN[each.takes] for each in module.inputs)
        raise UserError(f"{module.handle}: this module takes {shown}, but no column holds any")
    if backbone and not of_backbone:
        raise UserError(f"--backbone {backbone.name or backbone.kind}: takes images, but no column holds any")
    if both := [feature.name for feature in of_backbone if feature.name in of_module]:
        raise UserError(f"--hub and --backbone both take the images ({', '.join(both)}); pass one of them")
    return UsedNetworks(
        features=frozenset(of_module) | {feature.name for feature in of_backbone},
        hubs=hubs,
        backbones={f"{each.name}_network": backbone.settings(each.name) for each in of_backbone} if backbone else {},
    )


def _hubs(module: ModuleProfile, features: Sequence[FeatureSuggestion]) -> dict[str, Settings]:
    if fed := {name: feature for feature in features for name in feature.feeds}:
        inputs = {each.name: fed[each.name].name for each in module.inputs}
        return {"module": _hub(module, inputs) | _pool(module.inputs[0], fed[module.inputs[0].name])}
    (only,) = module.inputs
    return {
        f"{feature.name}_module": _hub(module, {only.name: feature.name}) | _pool(only, feature)
        for feature in features
        if _takes(only, feature)
    }


def _hub(module: ModuleProfile, inputs: Mapping[str, str]) -> Settings:
    output = {"output": module.output} if module.output else {}
    return {"handle": module.handle, "inputs": dict(inputs), **output}


def _pool(fed: ModuleInput, feature: FeatureSuggestion) -> Settings:
    """An image module takes each frame of a clip, and its vectors are averaged. `feeds_of` sees to it that such clips
    feed either all inputs or none."""
    return {"pool": "mean"} if feature.settings["kind"] == "video" and fed.takes == "image" else {}


def _takes(only: ModuleInput, feature: FeatureSuggestion) -> bool:
    kind = feature.settings["kind"]
    if kind == "audio":
        return only.takes == "numbers" and feature.settings.get("samples") == only.length
    return feature.needs_network and (kind == only.takes or (kind == "video" and only.takes == "image"))
