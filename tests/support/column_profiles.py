"""Column profiles, as `hubline init` computes them."""

from typing import Any

from hubline.pipeline.init.column_profile import Column, Data, Numbers


def numbers(minimum: float, maximum: float, skewness: float = 0.0) -> Numbers:
    middle = (minimum + maximum) / 2
    return Numbers(minimum, mean=middle, median=middle, maximum=maximum, deviation=1.0, skewness=skewness)


def column(type: str = "float", name: str = "it", distinct: int = 500, present: int = 1000, **rest: Any) -> Column:
    """A column of 1,000 records, by default floats from -1 to 1."""
    seen: dict[str, Any] = {"values": present, "frequent": (("a", 3), ("b", 2)) if type == "text" else ((1, 3), (2, 2))}
    seen |= {"numbers": numbers(-1, 1)} if type in ("integer", "float") else {}
    return Column(name=name, type=type, records=1000, present=present, distinct=distinct, **(seen | rest))  # type: ignore[arg-type]


def data(*columns: Column, **rest: Any) -> Data:
    return Data(columns, **({"files": 1, "records": 1000, "total": 1000, "is_whole": True} | rest))
