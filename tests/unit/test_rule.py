"""Which rules are asked about which sections."""

from collections.abc import Iterator

from hubline.components.config.serving import Serving
from hubline.core.config_errors import PlacedError
from hubline.pipeline.rules.rule import errors_of, holds_for_parts
from hubline.preprocessing.config import Label


def of_one(serving: Serving) -> Iterator[PlacedError]:
    yield ("serving",), f"asked: {serving.destination}"


def of_one_or_none(label: Label | None) -> Iterator[PlacedError]:
    yield ("label",), f"asked: {label}"


@holds_for_parts
def of_parts(serving: Serving, label: Label | None) -> Iterator[PlacedError]:
    yield ("serving",), f"asked: {serving.destination}, {label}"


RULES = (of_one, of_one_or_none, of_parts)


def asked(sections: dict, parts: dict | None = None) -> list[str]:
    return [text for _, text in errors_of(RULES, sections, parts)]


def test_a_section_that_is_absent_is_a_question_only_to_rules_that_take_none() -> None:
    assert asked({"serving": None, "label": None}) == ["asked: None"]
    served = Serving(destination="there")
    assert asked({"serving": served, "label": None}) == ["asked: there", "asked: None", "asked: there, None"]


def test_a_section_with_errors_is_a_question_only_to_rules_that_hold_for_parts() -> None:
    assert asked({"label": None}) == ["asked: None"]
    assert asked({"label": None}, {"serving": Serving(destination="part")}) == ["asked: None", "asked: part, None"]
