"""Several calls at a time give what one after the other gives."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.core.concurrency import in_order


@settings(deadline=None)  # starting threads may take long
@given(st.lists(st.integers(), max_size=100))
def test_results_are_in_the_order_of_the_items(items: list[int]) -> None:
    assert list(in_order(lambda item: item + 1, items)) == [item + 1 for item in items]


def test_several_calls_are_under_way_and_few_results_wait() -> None:
    both = threading.Barrier(2, timeout=30)
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_order(lambda number: both.wait() if number < 2 else number, items())
    assert {next(results), next(results)} == {0, 1}, "both waited for each other"
    assert next(results) == 2 and len(taken) < 50
    results.close()
    assert len(taken) < 50


def test_the_first_exception_ends_the_calls() -> None:
    called = []

    def call(number: int) -> int:
        called.append(number)
        return 1 // (number - 3)

    with pytest.raises(ZeroDivisionError):
        list(in_order(call, range(1000)))
    assert len(called) < 100
