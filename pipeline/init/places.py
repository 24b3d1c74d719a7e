"""Latitude and longitude become a grid of places."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hubline.pipeline.init.column_profile import ColumnProfile
from hubline.pipeline.init.feature import FeatureSuggestion, feature_of, free_name
from hubline.pipeline.init.kinds import numeric

_PLACE = re.compile(
    r"(?P<before>.*?)(?<![a-z])((?P<latitude>lat(itude)?)|lon(g|gitude)?|lng)(?![a-z])(?P<after>.*)", re.IGNORECASE
)


def places(columns: Sequence[ColumnProfile]) -> dict[str, ColumnProfile]:
    """Longitude columns by the name of their latitude column."""
    found: dict[str, dict[tuple[str, str], ColumnProfile]] = {"latitude": {}, "longitude": {}}
    for column in columns:
        match = _PLACE.fullmatch(column.name)
        if match and column.type == "float" and column.is_single and column.distinct > 10 and column.numbers:
            axis = "latitude" if match["latitude"] else "longitude"
            limit = 90 if axis == "latitude" else 180
            if -limit <= column.numbers.minimum and column.numbers.maximum <= limit:
                found[axis].setdefault((match["before"], match["after"]), column)
    return {
        column.name: found["longitude"][around]
        for around, column in found["latitude"].items()
        if around in found["longitude"]
    }


def place_features(
    latitude: ColumnProfile, longitude: ColumnProfile, records: int, names: Mapping[str, str], taken: set[str]
) -> list[FeatureSuggestion]:
    """Latitude and longitude as numbers, in buckets, and the cross of these: a grid whose cells contain several records
    each. The numbers tell which cells are neighbors, and the buckets where a coast or a city begins."""
    cells = 10 if records < 10_000 else 20
    bucketized = {"kind": "bucketized", "buckets": cells, "encode": "one_hot"}
    pair = (latitude, longitude)
    numbers = [feature_of(column, names[column.name], numeric(column)) for column in pair]
    buckets = [feature_of(column, free_name(f"{column.name}_bucket", taken), bucketized) for column in pair]
    match = _PLACE.fullmatch(latitude.name)
    name = free_name(f"{match['before']}place{match['after']}" if match else "place", taken)
    crossed = {"kind": "crossed", "of": [bucket.name for bucket in buckets], "hash_buckets": 2 * cells**2}
    place = FeatureSuggestion(name, crossed, f"the cells of a grid of {cells} by {cells}; in model.wide")
    return [*numbers, *buckets, place]
