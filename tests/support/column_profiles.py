"""Column profiles, as `hubline init` computes them."""

from typing import Any

from hubline.pipeline.init.column_profile import ColumnProfile, DataProfile, NumberProfile


def numbers(minimum: float, maximum: float, skewness: float = 0.0) -> NumberProfile:
    middle = (minimum + maximum) / 2
    return NumberProfile(minimum, mean=middle, median=middle, maximum=maximum, deviation=1.0, skewness=skewness)


def column(
    type: str = "float", name: str = "it", distinct: int = 500, present: int = 1000, **rest: Any
) -> ColumnProfile:
    """A column of 1,000 records, by default floats from -1 to 1."""
    seen: dict[str, Any] = {"values": present, "frequent": (("a", 3), ("b", 2)) if type == "text" else ((1, 3), (2, 2))}
    seen |= {"numbers": numbers(-1, 1)} if type in ("integer", "float") else {}
    return ColumnProfile(name=name, type=type, records=1000, present=present, distinct=distinct, **(seen | rest))  # type: ignore[arg-type]


def data(*columns: ColumnProfile, **rest: Any) -> DataProfile:
    return DataProfile(columns, **({"files": 1, "records": 1000, "total": 1000, "is_whole": True} | rest))
