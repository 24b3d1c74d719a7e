"""Prints predictions in blocks."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TextIO

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from hubline.core import json_text
from hubline.core.number_format import shown

_SHOWN_AT_ONCE = 64
_SHOWN_NUMBERS = 4


def print_json(out: TextIO, predictions: Iterable[Mapping[str, Any]]) -> None:
    """Prints predictions as one JSON object on one line, each as it is made; `status` comes last.

    If a prediction fails, the object is closed with `status: failed`, so that every line of the output is complete
    JSON.
    """
    out.write('{"predictions": [')
    status = "failed"
    try:
        for number, prediction in enumerate(predictions):
            out.write(f"{', ' if number else ''}{json_text.dumps(prediction)}")
        status = "succeeded"
    finally:
        out.write(f'], "status": "{status}"}}\n')


def show_predictions(console: Console, predictions: Iterable[Mapping[str, Any]]) -> None:
    """Prints one row per prediction: the number, the predicted classes, or the best class; and the next two classes.

    Rows are printed in blocks as they are made; columns grow if later ones are wider.
    """
    coming = iter(predictions)
    widths: dict[str, int] = {}
    is_first = True
    while block := list(islice(coming, _SHOWN_AT_ONCE)):
        rows = [_row(prediction) for prediction in block]
        names = list(rows[0])
        if is_first:
            widths = {name: len(name) for name in names}
        widths = {name: max(widths.get(name, 0), *(len(row.get(name, "")) for row in rows)) for name in names}
        columns = [
            Column(name, overflow="fold" if name == "input" else "ellipsis", min_width=0 if is_first else widths[name])
            for name in names
        ]
        table = Table(*columns, box=None, pad_edge=False, show_header=is_first)
        for row in rows:
            table.add_row(*(Text(row.get(name, "")) for name in names))
        console.print(table)
        is_first = False
    if is_first:
        console.print(Table(Column("input"), "record", box=None, pad_edge=False))


def _row(prediction: Mapping[str, Any]) -> dict[str, str]:
    """Cells by column heading."""
    record = "" if prediction["record"] is None else str(prediction["record"])
    key = {"key": str(prediction["key"])} if "key" in prediction else {}
    return {"input": prediction["input"], "record": record} | key | _shown(prediction)


def _shown(prediction: Mapping[str, Any]) -> dict[str, str]:
    if "value" in prediction and isinstance(prediction["value"], float):
        return {"value": shown(prediction["value"])}
    if isinstance(prediction.get("shares"), dict):
        shares = sorted(prediction["shares"].items(), key=lambda item: -item[1])
        mask = {"mask": prediction["mask"]} if "mask" in prediction else {}
        return {"shares of pixels": _listed(shares[:_SHOWN_NUMBERS])} | mask
    if "detections" in prediction:
        found = [(str(one["name"] or one["class"]), one["score"]) for one in prediction["detections"]]
        return {"found": _listed(found) or "nothing"}
    if "top" in prediction:
        ranked = [(one["label"], one["score"]) for one in prediction["top"]]
        return {"label": prediction["label"], "score": f"{prediction['score']:.3f}", "next": _listed(ranked[1:3])}
    if not isinstance(prediction.get("scores"), dict):
        return {name: _short(value) for name, value in prediction.items() if name not in ("input", "record", "key")}
    ranked = sorted(prediction["scores"].items(), key=lambda item: -item[1])
    if "chosen" in prediction:
        count = len(prediction["chosen"])
        return {"chosen": _listed(ranked[:count]) or "none", "next": _listed(ranked[count : count + 2])}
    box = {"box": " ".join(f"{side:.3f}" for side in prediction["box"])} if "box" in prediction else {}
    return {"label": prediction["label"], "score": f"{prediction['score']:.3f}"} | box | {"next": _listed(ranked[1:3])}


def _listed(scores: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {score:.3f}" for name, score in scores)


def _short(value: Any) -> str:
    """A number, a string, or the start of a list with its length."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if not isinstance(value, list):
        return str(value)
    more = f", … ({len(value)})" if len(value) > _SHOWN_NUMBERS else ""
    return f"[{', '.join(_short(one) for one in value[:_SHOWN_NUMBERS])}{more}]"
