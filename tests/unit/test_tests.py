"""The rules that the tests themselves keep."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))


def test_no_file_of_tests_has_over_500_lines() -> None:
    lengths = {str(path.relative_to(TESTS)): len(path.read_text().splitlines()) for path in FILES}
    assert not {name: length for name, length in lengths.items() if length > 500}, "split them by topic"
