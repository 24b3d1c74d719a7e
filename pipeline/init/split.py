"""Suggests how the records are split."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hubline.pipeline.init.column_profile import ColumnProfile
from hubline.pipeline.init.kinds import IDENTIFIER, Settings, shown
from hubline.pipeline.init.label import MOST_CLASSES

TOGETHER = "records of the same one stay in one split (data.split.group)"
FEWEST_GROUPS = 20
"""Fewer groups are not split by a hash: validation or test might get none of them."""
MANY_GROUPS = 50
"""From here on, a tenth of the groups is hardly ever empty: 0.9 ** 50 is 0.5 %. Fewer are split 6 : 2 : 2."""
SMALL = 1000
"""Records of a class below which its test records, a tenth, are by chance often 10 % more or fewer."""
_NAMES_GROUPS = re.compile(
    r"(^|_)(patient|subject|participant|person|user|customer|client|member|visitor|student|speaker|writer|author|driver|"
    r"household|session|scene|device|account)_?(id|key|uuid|guid|no|nr|number|code|name)?$"
)


@dataclass(frozen=True)
class SplitSuggestion:
    """The section `data.split`, and why."""

    settings: Settings
    comment: str = ""

    @property
    def learnt_from(self) -> int:
        """Records of ten that are in the training split."""
        return int(self.settings["train"])


def suggest_split(group: ColumnProfile | None, target: ColumnProfile, can_be_ranked: bool) -> SplitSuggestion:
    """The suggestion for a column of groups, if there is one, and the label.

    Args:
        group: The column of groups.
        target: The label.
        can_be_ranked: Whether all records were read, and no span will follow.
    """
    sizes: Settings = {"train": 8, "validation": 1, "test": 1}
    if group is None and not (can_be_ranked and _has_small_classes(target)):
        return SplitSuggestion(sizes)
    if group is None:
        rarest, count = target.frequent[-1]
        return SplitSuggestion(
            sizes | {"stratify": target.name},
            f"The records of each class are split in these sizes, not by chance alone: {shown(rarest)} has {count:,}.",
        )
    train, other = (8, 1) if group.distinct >= MANY_GROUPS else (6, 2)
    return SplitSuggestion(
        {"train": train, "validation": other, "test": other, "group": group.name},
        f"By its name and because its values repeat, {group.name} says what records belong to. The records of each of "
        f"its {group.distinct:,} values stay in one split, so that the model is tested on values that it has not seen.",
    )


def _has_small_classes(target: ColumnProfile) -> bool:
    """Whether the label's classes are known, and one is so small that chance changes its share in a split."""
    are_classes = target.type in ("integer", "text") and target.is_single and target.distinct <= MOST_CLASSES
    return are_classes and len(target.frequent) == target.distinct and target.frequent[-1][1] < SMALL


def group_of(columns: Iterable[ColumnProfile]) -> ColumnProfile | None:
    """The column that says what records belong to, by its name and form; of several, the one with fewest values, as
    sessions are of users."""
    found = [column for column in columns if _names_groups(column)]
    return min(found, key=lambda column: column.distinct, default=None)


def _names_groups(column: ColumnProfile) -> bool:
    repeats = FEWEST_GROUPS <= column.distinct < IDENTIFIER * column.values
    always = column.is_single and not column.missing and column.type in ("integer", "text") and not column.is_date
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name).lower()
    return repeats and always and bool(_NAMES_GROUPS.search(re.sub(r"\W+", "_", snake)))
