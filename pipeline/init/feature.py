"""A suggested feature: its section, name and comment."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count

from hubline.pipeline.init.column_profile import ColumnProfile
from hubline.pipeline.init.kinds import Settings, is_few, shown
from hubline.preprocessing.feature_columns import input_name


@dataclass(frozen=True)
class FeatureSuggestion:
    """A feature, with the profile of its column as a comment."""

    name: str
    settings: Settings
    comment: str

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
    if column.frequent and (column.type == "text" or is_few(column)):
        parts += ["such as " + ", ".join(shown(value) for value, _ in column.frequent[:3])]
    return "; ".join(parts)


def feature_of(column: ColumnProfile, name: str, settings: Settings) -> FeatureSuggestion:
    head = {"kind": settings["kind"]} | ({"from": column.name} if name != column.name else {})
    return FeatureSuggestion(name, head | settings, described(column))


def free_name(wanted: str, taken: set[str]) -> str:
    """A feature name that no column and no other feature has; it is reserved."""
    name = input_name(wanted)
    free = next(each for each in chain([name], (f"{name}_{number}" for number in count(2))) if each not in taken)
    taken.add(free)
    return free
