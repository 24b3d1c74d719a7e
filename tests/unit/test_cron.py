"""Cron in a named time zone, compared with how KFP's backend evaluates the six fields."""

from datetime import datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hubline.pipeline.kubeflow.cron import Drift, compiled, parse
from tests.support.kfp_cron import Six

UTC = ZoneInfo("UTC")
JULY = datetime(2026, 7, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("cron", "zone", "six"),
    [
        ("0 3 * * *", "UTC", "0 0 3 * * *"),
        ("0 3 * * *", "Europe/Berlin", "0 0 1 * * *"),  # +2:00 in July
        ("15,45 9-17 * * MON-FRI", "America/New_York", "0 15,45 13-21 * * 1-5"),  # -4:00
        ("0 1 * * MON", "Asia/Tokyo", "0 0 16 * * 0"),  # Sunday there
        ("0 22 * * 6", "America/New_York", "0 0 2 * * 0"),  # the day after Saturday
        ("0 22 1,15 * *", "America/New_York", "0 0 2 2,16 * *"),
        ("0 1 2 */3 *", "Europe/Berlin", "0 0 23 1 1,4,7,10 *"),
        ("*/20 * * * *", "Asia/Kathmandu", "0 15,35,55 * * * *"),  # +5:45
        ("30 5 13 * 5", "Asia/Kolkata", "0 0 0 13 * 5"),  # a 13th, or a Friday
        ("0 0 * * 7", "UTC", "0 0 0 * * 0"),
    ],
)
def test_six_fields_in_utc(cron: str, zone: str, six: str) -> None:
    assert compiled(parse(cron), ZoneInfo(zone), UTC, JULY) == six


@pytest.mark.parametrize(
    ("cron", "zone", "why"),
    [
        ("0 1 1 * *", "Europe/Berlin", "the day before, which months of any length have for the days 2 to 28 only"),
        ("0 22 28 * *", "America/New_York", "the day after, which months of any length have for the days 1 to 27"),
        ("0 1,12 * * MON", "Asia/Tokyo", "some of its times are on another day"),
        ("0 1 * 3 *", "Asia/Tokyo", "another month"),
        ("0,45 3 * * *", "Asia/Kolkata", "no longer the same minutes in each of its hours"),
    ],
)
def test_what_six_fields_cannot_say_is_refused(cron: str, zone: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compiled(parse(cron), ZoneInfo(zone), UTC, JULY)


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("0 3 * *", "has 4 fields; cron needs five"),
        ("0 0 3 * * *", "has 6 fields.*the seconds that Kubeflow Pipelines has are added"),
        ("60 3 * * *", "minute '60' is not in the range 0 to 59"),
        ("0 3 * * FOO", "day of week 'FOO' is not in the range 0 to 7, or sun to sat"),
        ("0 3 * JAN-3x *", "month '3x' is not in the range 1 to 12, or jan to dec"),
        ("0 17-9 * * *", "hour '17-9' ends before it starts"),
        ("0 */0 * * *", "hour '\\*/0' is not valid cron"),
        ("@daily", "1 fields"),
        ("0 3 30 2 *", "none of the months has such a day"),
        ("0 3 */2 * MON", "list the days"),
        ("TZ=Europe/Berlin 0 3 * * *", "6 fields"),
    ],
)
def test_what_is_no_cron_is_named(cron: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(cron)


def field(least: int, most: int) -> st.SearchStrategy[str]:
    numbers = st.integers(least, most)
    span = st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}-{max(pair)}")
    lists = st.lists(st.one_of(numbers.map(str), span), min_size=1, max_size=2).map(",".join)
    return st.one_of(st.just("*"), st.integers(1, 20).map("*/{}".format), lists)


DAYS = st.one_of(
    st.tuples(st.just("*"), st.just("*"), field(0, 6)),
    st.tuples(field(2, 27), field(1, 12), st.just("*")),
    st.tuples(field(2, 27), st.just("*"), field(0, 6)),
    st.tuples(field(1, 31), field(1, 12), field(0, 6)),
).map(" ".join)


@pytest.mark.slow
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    fields=st.tuples(st.integers(0, 59).map(str), st.one_of(st.integers(0, 23).map(str), field(0, 23)), DAYS),
    zone=st.sampled_from(["Asia/Tokyo", "Asia/Kolkata", "America/Phoenix", "Pacific/Kiritimati", "Pacific/Marquesas"]),
)
def test_the_backend_runs_it_at_the_times_of_the_zone(fields: tuple[str, ...], zone: str) -> None:
    """In zones without daylight saving, where nothing drifts; the backend's parsing is reimplemented in Six."""
    try:
        cron = parse(" ".join(fields))
        six = compiled(cron, ZoneInfo(zone), UTC, JULY)
    except ValueError:
        assume(False)
    moment = JULY
    for expected in islice(cron.times(ZoneInfo(zone), JULY), 25):
        moment = Six.of(six).next(moment)
        assert moment == expected


@pytest.mark.parametrize(
    ("cron", "zone", "backend", "said"),
    [
        ("0 3 * * *", "Europe/Berlin", "UTC", "from 2026-10-25 it runs 1 h earlier"),
        ("0 3 * * *", "America/New_York", "UTC", "from 2026-11-01 it runs 1 h earlier"),
        ("0 3 * * *", "Australia/Lord_Howe", "UTC", "from 2026-10-04 it runs 30 min later"),
        ("0 3 * * *", "UTC", "Europe/Berlin", "from 2026-10-25 it runs 1 h later"),
        ("0 3 * * *", "Asia/Tokyo", "UTC", None),  # no daylight saving
        ("0 3 * * *", "Europe/Berlin", "Europe/Paris", None),  # both at once
        ("*/10 * * * *", "Europe/Berlin", "UTC", None),  # the same minutes of every hour
    ],
)
def test_the_drift_at_daylight_saving(cron: str, zone: str, backend: str, said: str | None) -> None:
    drift = Drift.of(parse(cron), ZoneInfo(zone), ZoneInfo(backend), JULY)
    assert drift is None if said is None else str(drift).startswith(said)
    if drift is None:
        return
    six = Six.of(compiled(parse(cron), ZoneInfo(zone), ZoneInfo(backend), JULY))
    if backend == "UTC":
        before, after = (
            six.next(drift.since + days).astimezone(ZoneInfo(zone)) for days in (timedelta(-2), timedelta(2))
        )
        assert timedelta(hours=after.hour - before.hour, minutes=after.minute - before.minute) == drift.later


def test_a_time_that_the_clock_skips_is_no_time() -> None:
    times = parse("30 2 * * *").times(ZoneInfo("Europe/Berlin"), datetime(2026, 3, 27, 12, tzinfo=timezone.utc))
    assert [next(times).day for _ in range(3)] == [28, 30, 31]
