"""The decoder on feature maps, and its requirements on pipeline file and module."""

import numpy as np
import pytest
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.validate import InvalidFile, validate
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import Head, VariableSelection
from hubline.trainer.decoder import channels_of, decode, levels
from hubline.trainer.hub_layer import HubLayer, try_out
from hubline.trainer.module_fit import check_fits
from hubline.trainer.saved_model_loader import open_module
from tests.support import pixels as make_pixels


def test_levels_say_how_often_a_map_doubles() -> None:
    maps = {"whole": (96, 64, 3), "a": (48, 32, 8), "deep": (6, 4, 9)}
    assert levels(maps, (96, 64)) == {"whole": 0, "a": 1, "deep": 4}


@pytest.mark.parametrize(
    ("maps", "size", "said"),
    [
        ({"a": (10, 10, 3)}, (75, 75), "'a' is 10x10 for pictures of 75x75: doubled again and again it does not"),
        ({"a": (16, 8, 3)}, (32, 32), "output 'a' is 16x8"),
        ({"a": (1, 1, 64)}, (48, 48), "output 'a' is 1x1"),
        ({"a": (64, 64, 3)}, (32, 32), "output 'a' is 64x64"),
        ({"a": (16, 16, 3), "b": (16, 16, 8)}, (32, 32), "outputs 'a' and 'b' are both 16x16"),
    ],
)  # fmt: skip
def test_maps_that_do_not_double_to_the_picture_are_refused(maps, size, said: str) -> None:
    with pytest.raises(UserError, match=said):
        levels(maps, size)


def test_channels_are_those_that_are_given_or_halve() -> None:
    assert channels_of(Head(), 5) == (256, 256, 128, 64, 32)
    assert channels_of(Head(channels=(7, 5)), 2) == (7, 5)
    with pytest.raises(UserError, match=r"model\.head\.channels names 2 steps, and .* there are 3"):
        channels_of(Head(channels=(7, 5)), 3)


def test_the_decoder_comes_to_the_picture_and_sees_every_map() -> None:
    maps = {name: tf.keras.Input([side, 2 * side, 3]) for name, side in (("a", 16), ("b", 4))}
    model = tf.keras.Model(maps, decode(Head(channels=(6, 5, 4)), maps, (32, 64), outputs=7))
    given = {name: tf.random.normal([2, *values.shape[1:]], seed=1) for name, values in maps.items()}
    outputs = model(given)
    assert outputs.shape == [2, 32, 64, 7]
    for name in maps:
        other = given | {name: given[name] + 1.0}
        assert np.abs(model(other) - outputs).max() > 1e-4


HUB = {"handle": "module", "inputs": {"images": "photo"}}


@pytest.mark.parametrize("of", [make_pixels.Maps, make_pixels.MapsOfAnySize])
def test_a_backbone_gives_the_maps_that_are_named(tmp_path, of) -> None:
    hub = Hub.model_validate(HUB | {"outputs": ["block3", "block1"]})
    module = open_module(str(make_pixels.module(tmp_path / "module", of)))
    check_fits(module.offer, hub, make_pixels.features())
    try_out(hub, module, make_pixels.features(), VariableSelection())
    pixels = np.random.default_rng(0).integers(0, 256, [2, 32, 32, 3], np.uint8)
    given = HubLayer(hub, module, make_pixels.features(), "maps")({"photo": tf.constant(pixels)})
    assert {name: tuple(values.shape) for name, values in given.items()} == {
        "block3": (2, 4, 4, 3), "block1": (2, 16, 16, 3),
    }  # fmt: skip
    mean = (pixels / 255.0).reshape(2, 4, 8, 4, 8, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(given["block3"], mean, atol=1e-5)


@pytest.mark.parametrize(
    ("outputs", "size", "said"),
    [
        (["block9"], (32, 32), "the module has no output 'block9'; its outputs are: block1 float32"),
        (["vector"], (32, 32), r"output 'vector' is float32\[\?, 3\], but a label of pixels needs feature maps"),
        (["block3"], (36, 36), "output 'block3' is 4x4 for pictures of 36x36"),
    ],
)
def test_what_is_no_map_or_does_not_double_is_told(tmp_path, outputs: list, size, said: str) -> None:
    hub = Hub.model_validate(HUB | {"outputs": outputs})
    module = open_module(str(make_pixels.module(tmp_path / "module", make_pixels.MapsOfAnySize)))
    with pytest.raises(UserError, match=said):
        check_fits(module.offer, hub, make_pixels.features(size))
        try_out(hub, module, make_pixels.features(size))


def file(**changes) -> dict:
    whole = {
        "name": "masks",
        "data": {"examples": "data"},
        "features": {"photo": {"kind": "image", "size": [32, 32]}},
        "label": {"kind": "pixels", "from": "mask", "image": "photo", "classes": ["no", "yes"]},
        "hubs": {"maps": HUB | {"outputs": ["block1", "block2"]}},
        "training": {"epochs": 1},
        "serving": {"destination": "serving"},
    }
    return whole | changes


def test_a_pipeline_file_of_pixels_is_judged_by_mean_iou() -> None:
    read = PipelineFile.model_validate(file())
    assert read.evaluation.metrics == ("mean_iou", "pixel_accuracy")
    assert list(read.evaluation.thresholds) == ["mean_iou"]
    assert read.model_validate_json(read.model_dump_json(by_alias=True, exclude={"task"})).hubs == read.hubs


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hubs": {"maps": HUB}}, {"hubs.maps": "needs `outputs`: the feature maps"}),
        (
            {"hubs": {"maps": HUB | {"outputs": ["a"], "pool": "mean"}}},
            {"hubs.maps": "is for feature maps, but pool is for a vector"},
        ),
        ({"hubs": {"maps": HUB | {"outputs": ["a", "a"]}}}, {"hubs.maps": "outputs must be distinct; repeated: a"}),
        (
            {"hubs": {}, "backbones": {"net": {"kind": "lenet5", "input": "photo"}}},
            {"backbones.net": "leave backbones out", "hubs": "one hub module, and features feed none"},
        ),
        ({"label": {"kind": "class", "from": "c"}}, {"hubs.maps.outputs": "is for a label of kind pixels"}),
        (
            {"label": {"kind": "class", "from": "c"}, "hubs": {"maps": HUB}, "model": {"head": {"channels": [8]}}},
            {"model.head.channels": "for one of kind class, set `hidden`"},
        ),
        ({"model": {"head": {"hidden": [8]}}}, {"model.head.hidden": "is for dense layers"}),
        (
            {"training": {"epochs": 1, "augment": [{"mixup": 0.2}]}},
            {"training.augment.0": "one of kind pixels cannot be mixed"},
        ),
        (
            {"training": {"epochs": 1, "augment": ["flip_left_right"], "cache_views": 2}},
            {"training.cache_views": "caches vectors"},
        ),
        ({"evaluation": {"metrics": ["accuracy"]}}, {"evaluation.metrics.0": "does not fit a label of kind pixels"}),
        (
            {"features": {"photo": {"kind": "image", "size": [32, 32]}, "age": {"kind": "numeric"}}},
            {"features.age": "is predicted from its image 'photo' alone; leave 'age' out"},
        ),
        (
            {"label": {"kind": "pixels", "from": "mask", "image": "x", "classes": ["no", "yes"]}},
            {"label.image": "there is no image feature 'x'; the image features are: photo"},
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told(changes: dict, said: dict[str, str]) -> None:
    with pytest.raises(InvalidFile) as caught:
        validate(file(**changes), "/data")
    found = {".".join(map(str, location)): message for location, message in caught.value.errors}
    assert found.keys() == said.keys() and all(said[key] in found[key] for key in said), found
