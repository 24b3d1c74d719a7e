"""Parsing of dates and times, compared with Python's datetime and pandas."""

import re
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hubline.artifacts.unread_dates import UnreadDates, guessed
from hubline.core.errors import DataError
from hubline.preprocessing.accumulators import UnparsedTexts
from hubline.preprocessing.analysis import BeamAnalyzer, RecordingAnalyzer
from hubline.preprocessing.kinds import dates
from hubline.preprocessing.kinds.timestamp import TimestampFeature
from hubline.preprocessing.transform import transformed
from tests.support.features import features_of

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
unhurried = settings(deadline=None, max_examples=200)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def by_iso(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return dates.seconds_of(texts, dates.ISO)


def read(text: str, form: str | None = None) -> int | None:
    """Seconds since 1970, or None if the text cannot be parsed."""
    seconds, are_read = by_iso([text]) if form is None else dates.seconds_of(tf.constant([text]), dates.form_of(form))
    return int(seconds[0]) if are_read[0] else None


def seconds(*parts: int, offset: int = 0) -> int | None:
    """From year, month, day, hour, minute and second, with an offset in minutes; None if invalid."""
    try:
        return round((datetime(*parts, tzinfo=timezone.utc) - EPOCH).total_seconds()) - 60 * offset
    except ValueError:
        return None


NUMBERS = st.tuples(
    st.integers(0, 9999),
    st.integers(0, 13),
    st.integers(0, 32),
    st.integers(0, 25),
    st.integers(0, 61),
    st.integers(0, 61),
)
OFFSETS = st.none() | st.just("Z") | st.tuples(st.sampled_from("+-"), st.integers(0, 25), st.integers(0, 61))


@pytest.mark.slow
@given(NUMBERS, OFFSETS, st.booleans(), st.booleans(), st.integers(0, 3), st.sampled_from(["", ".5", ",123456789"]))
@example((0, 0, 0, 0, 0, 0), None, True, True, 0, "")
@example((2024, 13, 45, 0, 0, 0), None, True, True, 0, "")
@example((2023, 2, 30, 25, 61, 0), None, True, True, 3, "")
@example((2024, 5, 31, 0, 30, 0), ("+", 2, 0), True, True, 3, ".5")
@unhurried
def test_iso_8601_is_read_as_written_and_no_day_becomes_another(
    numbers, offset, is_long: bool, is_long_time: bool, precision: int, fraction: str
) -> None:
    year, month, day, hour, minute, second = numbers
    text = f"{year:04}-{month:02}-{day:02}" if is_long else f"{year:04}{month:02}{day:02}"
    time = [hour, minute, second][:precision]
    if time:
        text += "T" + (":" if is_long_time else "").join(f"{number:02}" for number in time)
        text += fraction if precision == 3 else ""
    minutes = 0
    if time and offset == "Z":
        text += "Z"
    elif time and offset:
        sign, hours, rest = offset
        text += f"{sign}{hours:02}:{rest:02}" if is_long else f"{sign}{hours:02}{rest:02}"
        minutes = (60 * hours + rest) * (1 if sign == "+" else -1)
        if hours > 23 or rest > 59:
            assert read(text) is None
            return
    expected = seconds(year, month, day, *time, offset=minutes)
    assert read(text) == expected
    assert read(text.replace("T", " ")) == expected
    if expected is not None and 1700 < year < 2200:
        stamp = pd.Timestamp(text.replace(",", "."))
        stamp = stamp.tz_localize("UTC") if stamp.tz is None else stamp
        assert expected == (stamp - pd.Timestamp("1970-01-01", tz="UTC")) // pd.Timedelta(seconds=1)


@pytest.mark.parametrize(
    "text",
    [
        "2024-5-1", "05/31/2024", "2024-W22-5", "2024-152", "2024-05", "2024", "2024-0531", "2024-05-31T", "24-05-31",
        "2024-05-31T4", "2024-05-31T24:00:00", "2024-05-31T23:59:60", "2024-05-31Z", "2024-05-31+02:00", "NULL", " ",
        "2024-05-31T04:05:06.", "2024-05-31T04:05.5", "2024-05-31T04:05:06+2", "2024-05-31T04:05:06 UTC",
        "2024-05-31 04:05:06 ", "x2024-05-31", "٢٠٢٤-05-31", "2024-05-31\n", "1717128306",
    ],
)  # fmt: skip
def test_what_is_not_written_so_is_not_read(text: str) -> None:
    assert read(text) is None


@pytest.mark.slow
@given(st.text("0123456789-:TZ+. ", max_size=25) | st.text(max_size=12))
@unhurried
def test_any_text_is_read_or_not(text: str) -> None:
    found = read(text)
    if found is not None:
        when = EPOCH + timedelta(seconds=found)
        assert re.match(r"\d{4}", text) and abs(when.year - int(text[:4])) <= 1


FORMATS = [
    "%m/%d/%Y", "%d.%m.%Y %H:%M", "%Y%m%d", "%b %d, %Y %I:%M %p", "%d %B %Y", "%a, %d %b %Y %H:%M:%S %z", "%y-%m-%d",
    "%Y-%m-%dT%H:%M:%S.%f%z", "%d/%b/%Y:%H:%M:%S %z", "%H:%M:%S on %d/%m/%Y", "100%% %Y-%m-%d", "(%Y) %A %m|%d",
]  # fmt: skip


@given(
    st.datetimes(datetime(1969, 1, 1), datetime(2068, 12, 31)),
    st.integers(-23 * 60, 23 * 60),
    st.sampled_from(FORMATS),
)
@unhurried
@pytest.mark.slow
def test_a_format_is_read_as_by_strptime(when: datetime, minutes: int, form: str) -> None:
    text = when.replace(tzinfo=timezone(timedelta(minutes=minutes))).strftime(form)
    expected = datetime.strptime(text, form)
    expected = expected if expected.tzinfo else expected.replace(tzinfo=timezone.utc)
    assert read(text, form) == (expected - EPOCH) // timedelta(seconds=1)
    assert read(text.upper(), form) == read(text, form)
    assert read(f"{text}x", form) is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2/30/2024", "%m/%d/%Y"), ("13/1/2024", "%m/%d/%Y"), ("0/1/2024", "%m/%d/%Y"), ("1/1/0000", "%m/%d/%Y"),
        ("13:00 PM", "%I:%M %p"), ("29 Feb 2023", "%d %b %Y"), ("29 Febr 2024", "%d %b %Y"), ("", "%Y"),
    ],
)  # fmt: skip
def test_what_strptime_refuses_is_not_read(text: str, form: str) -> None:
    with pytest.raises(ValueError):
        datetime.strptime(text, form)
    assert read(text, form) is None


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("5/1/2024", "%m/%d/%Y", seconds(2024, 5, 1)),
        ("2024-5-1", "%Y-%m-%d", seconds(2024, 5, 1)),
        ("May 2024", "%b %Y", seconds(2024, 5, 1)),
        ("12:30 am", "%I:%M %p", seconds(2000, 1, 1, 0, 30)),
        ("29.2.", "%d.%m.", seconds(2000, 2, 29)),
    ],
)
def test_short_forms_are_read(text: str, form: str, expected: int) -> None:
    assert read(text, form) == expected


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"format": "%m/%d"}, "the format '%m/%d' has no year, which the part weekday needs"),
        ({"format": "%Q"}, "'%Q' is not supported in a format; supported: %Y %y"),
        ({"format": "%Y-%m-%d %y"}, "the format '%Y-%m-%d %y' has the year twice"),
        ({"format": "%Y-%m-%d %I:%M"}, "a 12-hour clock needs both"),
        ({"format": "%Y-%m-%d", "unit": "seconds"}, "set only one"),
    ],
)
def test_a_format_that_cannot_be_read_is_refused(settings: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        TimestampFeature.model_validate({"kind": "timestamp", "part": "weekday", **settings})


def test_whole_numbers_have_a_format_too() -> None:
    features = features_of(t={"kind": "timestamp", "part": "month", "format": "%Y%m%d"})
    got = transformed(features, {"t": tf.constant([20240531, 20241301, 20231201], tf.int64)}, BeamAnalyzer())["t"]
    assert got.values.numpy().tolist() == [4, 11] and got.indices.numpy()[:, 0].tolist() == [0, 2]


WRITTEN = ["2024-05-31", "31.5.2024", "", "2024-13-01", "2024-05-31T04:05Z", "31.5.2024"]


def counted(parts: list[list[str]]) -> UnparsedTexts:
    features, found = features_of(t={"kind": "timestamp", "part": "day"}), UnparsedTexts()
    for part in parts:
        recorder = RecordingAnalyzer()
        transformed(features, {"t": tf.constant(part)}, recorder)
        one = UnparsedTexts()
        one.add(recorder.values["t.unread"])
        found.merge(one)
    return found


def test_what_cannot_be_read_is_counted_and_said(tmp_path) -> None:
    features = features_of(day={"kind": "timestamp", "from": "t", "part": "day"})
    found = counted([WRITTEN[:3], WRITTEN[3:]]).answer()
    assert (found.values, found.unread, found.such_as) == (5, 3, ("31.5.2024", "2024-13-01"))
    UnreadDates.of(features, {"day": found}).write(str(tmp_path))
    (finding,) = UnreadDates.read(str(tmp_path)).findings
    assert str(finding) == (
        "train: column 't': 3 of 5 values are not dates that features.day can read, such as '31.5.2024', '2024-13-01'; "
        "they count as missing"
    )
    assert not finding.stops
    assert not UnreadDates.of(features, {"day": counted([["2024-05-31"]]).answer()}).findings


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["05/31/2024", "12/01/2024"], 'perhaps format: "%m/%d/%Y"'),
        (["05/06/2024"], 'perhaps format: "%m/%d/%Y" or format: "%d/%m/%Y"'),
        (["31 May 2024 16:05"], 'perhaps format: "%d %b %Y %H:%M" or format: "%d %B %Y %H:%M"'),
        (["yesterday"], 'say how they are written, such as format: "%m/%d/%Y %H:%M"'),
    ],
)
def test_a_column_of_which_no_date_can_be_read_stops_with_the_key_to_set(texts: list[str], says: str) -> None:
    features = features_of(day={"kind": "timestamp", "from": "t", "part": "day"})
    with pytest.raises(DataError) as caught:
        UnreadDates.of(features, {"day": counted([texts]).answer()})
    begin = f"features.day: none of the {len(texts)} values of the column 't' is a date of ISO 8601; they are such as"
    assert str(caught.value).startswith(f"{begin} '{texts[0]}'") and str(caught.value).endswith(says)
    assert all(read(text, form) is not None for form in guessed(tuple(texts)) for text in texts)


def test_without_any_text_nothing_is_wrong() -> None:
    features = features_of(day={"kind": "timestamp", "from": "t", "part": "day"})
    assert not UnreadDates.of(features, {"day": counted([["", ""]]).answer()}).findings
    assert np.all(by_iso(tf.constant([], tf.string))[1])
