"""A run's decision as Markdown, which the dashboard shows on its own and side by side with that of other runs."""

import re
from collections.abc import Iterator

from hubline.artifacts.decision import Decision
from hubline.artifacts.serving_check import ServingCheckResult

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~])")


def decision_text(decision: Decision, checked: ServingCheckResult | None = None) -> str:
    """The decision, its reasons, each metric next to that of the serving version and of the best constant, and the
    serving check."""
    return "\n".join([*_lines(decision), *(_lines_of_check(checked) if checked else [])]) + "\n"


def pushed_text(pushed: str | None, serving: str | None, destination: str, published: str | None = None) -> str:
    """Where the model was pushed, and which version serves now.

    Args:
        pushed: Path of the version that this run pushed, if any.
        serving: Path of the version that serves now, if any.
        destination: The serving folder.
        published: Path of the newest version of the published hub module, if one is published.
    """
    done = f"**Pushed** as version {_version(pushed)}: `{pushed}`" if pushed else "**Nothing was pushed.**"
    now = f"Version {_version(serving)} serves: `{serving}`" if serving else f"No version serves in `{destination}`."
    module = f"\n\nPublished module: `{published}`" if published else ""
    return f"{done}\n\n{now}{module}\n"


def _lines(decision: Decision) -> Iterator[str]:
    yield f"## {'Blessed' if decision.blessed else 'Not blessed'}"
    yield ""
    compared = decision.compared_with
    yield f"Compared with `{compared}`." if compared else "Not compared: no version serves yet."
    yield ""
    yield from (f"- {escaped(check.reason)}" for check in decision.checks)
    yield from (f"- {escaped(note)}" for note in decision.notes)
    yield ""
    yield "| metric | this model | 95 % interval | serving | best constant |"
    yield "|---|---|---|---|---|"
    constants = decision.baseline.metrics if decision.baseline else {}
    for name, value in decision.metrics.items():
        interval = decision.intervals.get(name)
        between = f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
        serving, constant = (decision.serving_metrics or {}).get(name), constants.get(name)
        yield f"| {escaped(name)} | {_figure(value)} | {between} | {_figure(serving)} | {_figure(constant)} |"


def _lines_of_check(checked: ServingCheckResult) -> Iterator[str]:
    yield ""
    yield f"## Serving check {'passed' if checked.passed else 'failed'}"
    yield ""
    yield from (f"- {escaped(sentence)}" for sentence in checked.summary)


def escaped(text: str) -> str:
    """Escapes Markdown's special characters."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _version(path: str | None) -> str:
    return (path or "").rstrip("/").rpartition("/")[2]
