"""The benchmark harness: measurements and tables."""

import json

import pytest

from benchmarks import harness
from benchmarks.harness import Bench, Failed, PeakMemory, Sample, Step
from benchmarks.results import Bar, Measured, Row, as_json, as_markdown, at_least, at_most, machine
from benchmarks.serve import Load

MB = 1 << 20


def holding(megabytes: int) -> dict:
    """A contestant that allocates memory in its second step."""
    steps = harness.StepWatch()
    steps.started()
    steps.finished("small")
    steps.started()
    held = b"x" * (megabytes * MB)
    steps.finished("great")
    del held
    steps.started()
    steps.finished("small again", cached=True)
    return {"steps": steps.steps, "figures": {"megabytes": megabytes}}


def failing() -> None:
    raise ValueError("no such luck")


@pytest.mark.slow
def test_a_contestant_runs_in_a_process_of_its_own_whose_peak_memory_is_taken_by_step(tmp_path) -> None:
    sample = harness.call("tests.unit.test_benchmarks:holding", tmp_path / "log", megabytes=300)
    small, great, again = sample.steps
    assert sample.figures == {"megabytes": 300}
    assert sample.peak >= great.peak - 1  # Linux includes the memory of the parent at the fork
    assert great.peak - small.peak == pytest.approx(300, abs=10)
    assert great.added == pytest.approx(300, abs=10) and small.added < 10
    assert again.peak == pytest.approx(small.peak, abs=20) and again.cached
    assert 0 < small.begin < great.begin < sample.seconds


def test_a_contestant_that_fails_says_why(tmp_path) -> None:
    with pytest.raises(Failed, match="ValueError: no such luck"):
        harness.call("tests.unit.test_benchmarks:failing", tmp_path / "log")


@pytest.mark.parametrize("steps", [(), (Step("Trainer", 1.0, 0.1, 0.1, 500.0, cached=True),)])
def test_a_step_that_did_not_work_has_no_figure(steps: tuple[Step, ...]) -> None:
    with pytest.raises(Failed, match="Trainer did not work"):
        Sample(seconds=1.0, cpu=1.0, peak=500.0, steps=steps).of("Trainer")


def test_peak_memory_is_that_since_it_was_forgotten() -> None:
    memory = PeakMemory()
    memory.forget()
    before = memory.read()
    held = b"x" * (200 * MB)
    del held
    assert memory.read() - before == pytest.approx(200, abs=10)


def test_contestants_take_turns_and_every_second_round_goes_backwards() -> None:
    turns = []

    def contestant(name):
        return lambda number: turns.append((number, name)) or Sample(seconds=number, cpu=0, peak=0)

    taken = Bench(rounds=3, quick=False).alternate({name: contestant(name) for name in "ab"})
    assert turns == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]
    assert [sample.seconds for sample in taken["a"]] == [0, 1, 2]


def test_start_up_ends_with_the_first_step_of_the_graph_and_all_steps_count_but_the_one_named() -> None:
    steps = (
        Step("pin", 0.5, 0.2, 0.1, 40),
        Step("ExampleGen", 8.0, 3.0, 4.0, 700),
        Step("Trainer", 12.0, 5.0, 9.0, 900),
    )
    sample = Sample(seconds=20.0, cpu=25.0, peak=900, steps=steps)
    assert sample.start_up == 8.0
    assert sample.all_steps() == pytest.approx(8.2)
    assert sample.all_steps(but="Trainer") == pytest.approx(3.2)
    assert sample.of("ExampleGen", "Trainer") == 8.0


def test_a_request_without_the_right_answer_is_lost_unless_it_was_refused() -> None:
    load = Load("http://127.0.0.1:9", sent=10)
    load.statuses.update({200: 6, 429: 2, 503: 1})
    assert load.lost == 1, "one had no answer"
    load.wrong = 2
    assert load.lost == 3


@pytest.mark.parametrize(
    ("value", "other", "bar", "reached"),
    [
        (1.0, 2.0, at_most(0.5), True),
        (1.1, 2.0, at_most(0.5), False),
        (9.0, 10.0, at_least(0.9), True),
        (8.0, 10.0, at_least(0.9), False),
        (1.0, 3.0, at_most(1 / 3), True),
        (1.0, 3.0, None, None),
    ],
)
def test_a_bar_is_reached_by_the_ratio(value: float, other: float, bar: Bar | None, reached: bool | None) -> None:
    assert Row("this", value, "that", other, bar=bar).reached is reached


def test_the_page_and_the_json_hold_every_figure_and_failure() -> None:
    sample = Sample(seconds=4.0, cpu=5.0, peak=512.0, steps=(Step("Trainer", 1.0, 2.5, 3.5, 500.0, before=400.0),))
    rows = [
        Row("training", 4.0, "stock", 10.0, bar=at_most(0.5)),
        Row("training", 6.0, "bare loop", 10.0, bar=at_most(0.5)),
        Row("more", 3.0, "less", 4.0),
    ]
    measured = [Measured("training", "What is compared.", rows, [("Hubline", sample)], 9.0, "the log's end")]
    where = machine("python -m benchmarks training")
    page = as_markdown(measured, where)
    assert "`python -m benchmarks training`" in page
    assert "| training | stock | 0.40 | ≤ 0.5 | reached |" in page
    assert "| training | bare loop | 0.60 | ≤ 0.5 | **missed** |" in page
    assert "| more | 3.0 s | less | 4.0 s | 0.75 |  |" in page
    assert "| Hubline |  | 4.0 | 5.0 |  | 512 |" in page and "|  | Trainer | 2.5 | 3.5 | 400 | 500 |" in page
    assert "**training failed**" in page and "the log's end" in page
    (measure,) = json.loads(as_json(measured, where))["measures"]
    assert [row["reached"] for row in measure["rows"]] == [True, False, None]
    assert measure["rows"][0]["ratio"] == 0.4
    assert measure["samples"][0][1]["steps"][0]["peak"] == 500.0
