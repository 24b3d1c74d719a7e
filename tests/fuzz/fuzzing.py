"""Tries inputs on a target, and counts what it took, what it refused, and on what it crashed."""

import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.edits import edited

Attempt = Callable[[int, bytes], bool]
"""Tries an edited seed, of which it gets the number; returns whether it was taken, and raises if that is a crash."""

_AT_ONCE = 2000
"""Inputs of one hypothesis test: hypothesis remembers all inputs of a test."""
SECONDS = 30
"""An input that takes longer is a crash."""


@dataclass(frozen=True)
class Target:
    """A reader of input from outside."""

    name: str
    seeds: Callable[[Path], Sequence[bytes]]
    """Makes valid inputs; may use a folder."""
    attempt: Callable[[Path], AbstractContextManager[Attempt]]
    """What tries an input; may use a folder."""
    tokens: Sequence[bytes] = ()
    inputs: Callable[[Sequence[bytes]], st.SearchStrategy[tuple[int, bytes]]] | None = None
    """Inputs of another form than edited seeds."""


@dataclass
class Outcome:
    """What became of the inputs of a target."""

    taken: int = 0
    refused: int = 0
    crashes: dict[str, bytes] = field(default_factory=dict)
    """An input of each crash, by the error and where it was raised."""
    crashed: int = 0

    @property
    def inputs(self) -> int:
        return self.taken + self.refused + self.crashed


def fuzz(target: Target, count: int, folder: Path, first_seed: int = 0) -> Outcome:
    """Tries inputs.

    Args:
        target: What to try.
        count: Number of inputs.
        folder: An empty folder for files; keeps the last input, for the case that the process dies.
        first_seed: Inputs depend on this number alone.
    """
    outcome, last = Outcome(), folder / "last-input"
    seeds = target.seeds(folder)
    inputs = target.inputs(seeds) if target.inputs else edited(seeds, target.tokens)
    with target.attempt(folder) as attempt:

        def one(drawn: tuple[int, bytes]) -> None:
            if outcome.inputs >= count:
                return
            last.write_bytes(drawn[1])
            try:
                with _limited():
                    taken = attempt(*drawn)
            except Exception as error:
                outcome.crashed += 1
                outcome.crashes.setdefault(_place(error), drawn[1])
                return
            outcome.taken += taken
            outcome.refused += not taken

        turn = first_seed
        while outcome.inputs < count:
            most = min(_AT_ONCE, count - outcome.inputs)
            options = settings(
                max_examples=most,
                database=None,
                deadline=None,
                derandomize=False,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                verbosity=Verbosity.quiet,
            )
            seed(turn)(options(given(inputs)(one)))()
            turn += 1
    return outcome


@contextmanager
def _limited() -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError(f"took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _place(error: Exception) -> str:
    """The error, and the last line of its traceback that isn't a library's."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
    said = f": {str(error)[:200]}" if isinstance(error, AssertionError) else ""
    return f"{type(error).__name__} at {where}{said}"
