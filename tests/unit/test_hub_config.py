"""The sections `hubs` and `model.fine_tune`."""

import pytest
from pydantic import ValidationError

from hubline.preprocessing.kinds.combiner import Lstm
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import FineTune, VariableSelection

NAMES = ["a/kernel", "a/bias", "b/bn1/gamma", "b/bn1/beta", "c/kernel", "scale", "offset", "a/late"]


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", (1, 2.5, True, "x"), ((1, 2), (3, 4)), (), 0, False])
def test_arguments_keep_their_types_on_the_way_to_a_step(value) -> None:
    hub = Hub.model_validate({"handle": "m", "inputs": {"x": "y"}, "arguments": {"a": value}, "pool": {"lstm": 3}})
    read = Hub.model_validate_json(hub.to_property())
    assert repr(read.arguments["a"]) == repr(hub.arguments["a"]) == repr(value)
    assert read.pool == Lstm(lstm=3)


@pytest.mark.parametrize("value", [None, {"a": 1}, [None], [[[1]]]])
def test_what_no_module_can_be_handed(value) -> None:
    with pytest.raises(ValidationError, match="must be a number, a string, true or false, or a list of these"):
        Hub.model_validate({"handle": "m", "inputs": {"x": "y"}, "arguments": {"a": value}})


@pytest.mark.parametrize(
    ("tuned", "chosen"),
    [
        (VariableSelection(), NAMES),
        (VariableSelection(variables=("kernel",)), ["a/kernel", "c/kernel"]),
        (VariableSelection(variables=(r"bn\d+/gamma", "^scale$")), ["b/bn1/gamma", "scale"]),
        (VariableSelection(last=1), ["offset"]),
        (VariableSelection(last=3), ["c/kernel", "scale", "offset"]),
        (VariableSelection(last=4), ["b/bn1/gamma", "b/bn1/beta", "c/kernel", "scale", "offset"]),
        (
            VariableSelection(last=5),
            ["a/kernel", "a/bias", "a/late", "b/bn1/gamma", "b/bn1/beta", "c/kernel", "scale", "offset"],
        ),
    ],
)
def test_which_variables_are_trained(tuned: VariableSelection, chosen: list[str]) -> None:
    assert sorted(tuned.chosen(NAMES)) == sorted(chosen)
    assert tuned.is_partial == (tuned != VariableSelection())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"variables": ["a("]}, r"'a\(' is not a regular expression: missing \)"),
        ({"variables": []}, "`variables` is empty"),
        ({"variables": ["a"], "last": 1}, "set only one"),
        ({"last": 0}, "greater than or equal to 1"),
    ],
)
def test_what_names_no_variables(options: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        FineTune.model_validate(options)
