"""A suggested feature: its section, name and comment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count

from hubline.pipeline.init.column_profile import ColumnProfile, ModuleInput
from hubline.pipeline.init.kinds import Settings, feature_for, is_few, shown
from hubline.preprocessing.feature_columns import input_name, input_names

_LONGEST, _END = 200, 30
"""Maximum length of a feature name, and how much of its end a cut name keeps. YAML has keys of 1,024 characters."""


@dataclass(frozen=True)
class FeatureSuggestion:
    """A feature, with the profile of its column as a comment."""

    name: str
    settings: Settings
    comment: str
    feeds: tuple[str, ...] = ()
    """Inputs of the module that the user says it feeds."""

    @property
    def column(self) -> str:
        return self.settings.get("from", self.name)

    @property
    def needs_network(self) -> bool:
        """Whether a hub module or a backbone takes the feature, rather than the model itself."""
        return self.settings["kind"] in ("audio", "image", "video") or (
            self.settings["kind"] == "text" and "bag" not in self.settings
        )


def described(column: ColumnProfile) -> str:
    """Profile of a column in words, for a comment."""
    parts = [
        column.type if column.is_single else f"{column.fewest} to {column.most} values of {column.type} in a record"
    ]
    if column.numbers:
        numbers = column.numbers
        least, greatest = (shown(int(n) if column.type == "integer" else n) for n in (numbers.minimum, numbers.maximum))
        parts += [f"{least} to {greatest}, mean {numbers.mean:,.4g}, median {numbers.median:,.4g}"]
        parts += [f"skewness {round(numbers.skewness, 1) + 0.0:.1f}"]  # avoids -0.0
    if column.sounds:
        sounds = column.sounds
        rates = ", ".join(f"{rate:,}" for rate in sorted(sounds.rates))
        parts += [f"{sounds.shortest:.2g} to {sounds.longest:.2g} s at {rates} Hz"]
        parts += ["sample_rate must be that of the module, which its documentation states"]
    parts += [f"{column.distinct:,} distinct"]
    parts += [f"{max(column.missing, 0.001):.1%} missing" if column.missing else "none missing"]
    if column.broken:
        parts += [described_broken(column)]
    if column.frequent and (column.type == "text" or is_few(column)):
        parts += ["such as " + ", ".join(shown(value) for value, _ in column.frequent[:3])]
    return "; ".join(parts)


def described_broken(column: ColumnProfile) -> str:
    """How many records of a column of images or sounds hold something else, with one of them."""
    held = "no JPEG, PNG, GIF or BMP" if column.type == "image" else "no WAV file"
    return f"{column.broken:,} of {column.records:,} records hold {held} there, such as {column.broken_place}"


def feature_of(column: ColumnProfile, name: str, settings: Settings, feeds: tuple[str, ...] = ()) -> FeatureSuggestion:
    head = {"kind": settings["kind"]} | ({"from": column.name} if name != column.name else {})
    return FeatureSuggestion(name, head | settings, described(column), feeds)


def features_fed(
    column: ColumnProfile, inputs: Sequence[ModuleInput], name: str, taken: set[str]
) -> list[FeatureSuggestion]:
    """The features of a column that feeds inputs of a module: one, or if the inputs want different ones, such as images
    of two sizes, one for each of these.

    Args:
        column: The column.
        inputs: The inputs that the user says it feeds.
        name: Name of the first feature.
        taken: Names of features and columns; those of the others are added.
    """
    wanted: list[tuple[Settings, list[str]]] = []
    for each in inputs:
        settings = feature_for(each, column)
        alike = next((names for same, names in wanted if same == settings), None)
        if alike is None:
            wanted.append((settings, [each.name]))
        else:
            alike.append(each.name)
    return [
        feature_of(column, free_name(f"{name}_{feeds[0]}", taken) if number else name, settings, tuple(feeds))
        for number, (settings, feeds) in enumerate(wanted)
    ]


def feature_names(columns: Iterable[str]) -> dict[str, str]:
    """A feature name for each column: that of its input, unless this is too long for a key of a YAML file."""
    names = input_names(columns)
    taken = set(names.values())
    return {column: name if len(name) <= _LONGEST else free_name(name, taken) for column, name in names.items()}


def free_name(wanted: str, taken: set[str]) -> str:
    """A feature name that no column and no other feature has; it is reserved. The middle of a long one is left out."""
    name = input_name(wanted)
    if len(name) > _LONGEST:
        name = f"{name[: _LONGEST - _END]}{name[-_END:]}"
    free = next(each for each in chain([name], (f"{name}_{number}" for number in count(2))) if each not in taken)
    taken.add(free)
    return free
