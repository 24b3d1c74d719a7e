"""Checks an exported model on a server: it loads, answers as the trained model does, and is fast enough."""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.artifacts.serving_check import Comparison, ServingCheckResult
from hubline.serving.check.agreement import Agreement, compare
from hubline.serving.check.clients import Arrays, Clients, clients
from hubline.serving.check.config import ServingCheck
from hubline.serving.check.latency import measure
from hubline.serving.check.process import AnswerFault, ServerFault, serving
from hubline.serving.check.requests import Request, predict_requests, requests
from hubline.serving.check.verdict import Measured
from hubline.trainer.reference import Reference
from hubline.trainer.serving_guide.interface import Interface
from hubline.trainer.task import CLASSES, SCORES, VALUE

_BATCHES = (1, 32)
"""Records in the requests whose latency is measured."""

Ask = Callable[[Sequence[Request]], list[Any]]
"""Sends requests of the same kind; returns the answers to the first of them, at least one."""


def check(model: str, reference: Reference, config: ServingCheck) -> ServingCheckResult:
    """Serves a model in a process of its own and asks it about the records of the reference.

    Args:
        model: Folder of the exported model.
        reference: Records, and the trained model's answers.
        config: Tolerance and bounds.
    """
    deadline = time.monotonic() + config.timeout_seconds
    measured = Measured(config, len(reference.records))
    interface = Interface.read(model)
    assert interface is not None  # the Trainer writes it next to the model
    try:
        with serving(model, config.timeout_seconds) as server, clients(server, deadline) as given:
            measured.load_seconds, measured.start_seconds = server.load_seconds, server.start_seconds
            measured.comparisons += _comparisons(given, interface, reference, measured)
            measured.memory_bytes = server.memory_bytes
    except ServerFault as fault:
        measured.faults.append(str(fault))
    return measured.result()


def _comparisons(
    given: Clients, interface: Interface, reference: Reference, measured: Measured
) -> Iterator[Comparison]:
    """Asks every signature in every form about all records, and then measures latencies, whose answers count too."""

    def send(kind: Sequence[Request]) -> list[Any]:
        return [each.send(given) for each in kind]

    def time_it(kind: Sequence[Request]) -> list[Any]:
        latency, answers = measure(given, kind, measured.is_within)
        measured.latencies.append(latency)
        return answers

    tolerance = measured.config.tolerance
    everything = range(len(reference.records))
    for request in requests(interface, reference.records):
        yield _compared([request], reference, everything, tolerance, send)
    for batch in _BATCHES:
        for kind, numbers in _of_latency(interface, reference, batch):
            yield _compared(kind, reference, numbers, tolerance, time_it)


def _of_latency(
    interface: Interface, reference: Reference, batch: int
) -> Iterator[tuple[list[Request], Sequence[int]]]:
    """Requests to the signature `PREDICT` over each API, with the numbers of their records."""
    everything = range(len(reference.records))
    groups = [[number] for number in everything] if batch == 1 else [list(islice(cycle(everything), batch))]
    of_each = [list(predict_requests(interface, [reference.records[number] for number in group])) for group in groups]
    numbers = [number for group in groups for number in group]
    for kind in map(list, zip(*of_each, strict=True)):
        if kind[0].form != "columns":  # two forms of REST would tell the same
            yield kind, numbers


def _compared(
    kind: Sequence[Request], reference: Reference, numbers: Sequence[int], tolerance: float, ask: Ask
) -> Comparison:
    """Compares the answers to requests of the same kind.

    Args:
        kind: The requests.
        reference: Records and answers.
        numbers: Number in the reference of each record in the requests.
        tolerance: The greatest difference that agrees.
        ask: Sends the requests.
    """
    first, count = kind[0], 0
    try:
        found = [request.read(answer) for request, answer in zip(kind, ask(kind), strict=False)]
        sent = first.records * len(found)
        count = min(sent, len(reference.records))  # others are the same records again
        agreement = compare(
            _expected(first, reference, numbers[:count]), _first_rows(_joined(found), count, sent), tolerance
        )
    except AnswerFault as fault:
        agreement = Agreement(None, str(fault))
    return Comparison(
        api=first.api,
        method=first.method,
        signature=first.signature,
        form=first.form,
        batch=first.records,
        records=count,
        difference=agreement.difference,
        fault=agreement.fault,
    )


def _joined(answers: Sequence[Arrays]) -> Arrays:
    try:
        return {name: np.concatenate([each[name] for each in answers]) for name in answers[0]}
    except (KeyError, ValueError) as error:
        raise AnswerFault(f"its answers to different records have different outputs or shapes: {error}") from error


def _first_rows(answers: Arrays, count: int, sent: int) -> Arrays:
    for name, array in answers.items():
        if len(array) != sent:
            raise AnswerFault(f"output '{name}' has {len(array)} rows for {sent} records")
    return {name: array[:count] for name, array in answers.items()}


def _expected(request: Request, reference: Reference, numbers: Sequence[int]) -> Arrays:
    """The trained model's answers, as the request's method names them."""
    answers = {name: array[list(numbers)] for name, array in reference.answers.items()}
    if request.method == "classify":
        return {
            tf.saved_model.CLASSIFY_OUTPUT_CLASSES: answers[CLASSES],
            tf.saved_model.CLASSIFY_OUTPUT_SCORES: answers[SCORES],
        }
    if request.method == "regress":
        return {VALUE: answers[VALUE].astype(np.float32)}  # TensorFlow Serving's message has no other type
    return answers
