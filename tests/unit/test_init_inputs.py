"""`hubline init --input`: columns that feed several inputs, clips, and what is refused."""

import io
from pathlib import Path

import pytest
import tensorflow as tf
from rich.console import Console

from hubline.core.errors import UserError
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.init.column_profile import ModuleInput, ModuleProfile
from hubline.pipeline.init.command import init
from hubline.pipeline.init.feeds import named_feeds
from hubline.pipeline.init.networks import Networks
from hubline.pipeline.init.suggest import Suggestion, suggest
from hubline.pipeline.preflight import check
from tests.support.column_profiles import column, data
from tests.support.example_data import random_image, record, write_tfrecord

SILENT = Console(file=io.StringIO())
LABEL = column("integer", "label", distinct=2, frequent=((0, 600), (1, 400)))
PHOTO = column("image", "photo", frequent=())


def clip(name: str, most: int):
    return column("image", name, frequent=(), fewest=2, most=most, values=2000)


def fed(columns: list, inputs: list[ModuleInput], **given: str) -> Suggestion:
    return suggest(data(*columns, LABEL), networks=Networks(ModuleProfile("net", tuple(inputs)), inputs=given))


def image(name: str, side: int = 96, channels: int = 3) -> ModuleInput:
    return ModuleInput(name, "image", (side, side), channels)


def pair_module(folder: Path, side: int) -> Path:
    """A module of the means of two images, of 8 x 8 and of another size."""

    class Pair(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 8, 8, 3], tf.float32, "left"),
                tf.TensorSpec([None, side, side, 3], tf.float32, "right"),
            ]
        )
        def __call__(self, left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(left, [1, 2]) - tf.reduce_mean(right, [1, 2])

    tf.saved_model.save(Pair(), str(folder))
    return folder


def written(folder: Path, module: Path, *inputs: str) -> PipelineFile:
    """The file that init writes for `folder/data`, which passes check."""
    init(str(folder / "data"), None, str(module), folder / "pipeline.yaml", False, SILENT, inputs=inputs)
    file, _, _ = check(folder / "pipeline.yaml")
    return file


@pytest.mark.parametrize("side", [8, 12])
def test_a_column_feeds_two_inputs_with_a_feature_per_size(tmp_path: Path, side: int) -> None:
    write_tfrecord(tmp_path / "data" / "a", [record(photo=random_image(n), label=n % 2) for n in range(20)])
    module = pair_module(tmp_path / "module", side)
    file = written(tmp_path, module, "left=photo", "right=photo")
    second = "photo" if side == 8 else "photo_right"
    assert file.hubs["module"].inputs == {"left": "photo", "right": second}
    assert {name: each.size for name, each in file.features.items()} == {"photo": (8, 8), second: (side, side)}
    assert {each.column or name for name, each in file.features.items()} == {"photo"}


def test_a_column_that_feeds_two_of_three_inputs() -> None:
    inputs = [image("x"), image("y"), image("z", 224)]
    found = fed([PHOTO, column("image", "a", frequent=())], inputs, z="a", x="photo", y="a")
    assert found.hubs["module"]["inputs"] == {"x": "photo", "y": "a", "z": "a_z"}
    assert {each.name: (each.column, each.settings["size"]) for each in found.features} == {
        "photo": ("photo", [96, 96]), "a": ("a", [96, 96]), "a_z": ("a", [224, 224])
    }  # fmt: skip


def test_clips_for_an_image_input_are_averaged() -> None:
    found = fed([clip("clip", 5)], [image("images")], images="clip")
    assert found.hubs["module"]["pool"] == "mean"
    assert found.features[0].settings == {"kind": "video", "frames": 5, "size": [96, 96]}
    assert "pool" not in fed([PHOTO], [image("images")], images="photo").hubs["module"]
    both = fed([clip("one", 4), clip("two", 9)], [image("left"), image("right")], left="one", right="two")
    assert both.hubs["module"]["pool"] == "mean"
    assert [each.settings["frames"] for each in both.features] == [9, 9]
    with pytest.raises(
        UserError, match=r"--input left=one: .* every input must take images and be fed clips, and right"
    ):
        fed([clip("one", 4), PHOTO], [image("left"), image("right")], left="one", right="photo")
    with pytest.raises(UserError, match=r"--input left=one: .* and length isn't"):
        fed([clip("one", 4), column()], [image("left"), ModuleInput("length", "numbers")], left="one", length="it")


def test_a_module_of_clips_takes_no_single_image() -> None:
    video = ModuleInput("clips", "video", (96, 96), frames=8)
    with pytest.raises(
        UserError, match="--input clips=photo: the column holds images, and the input takes clips of 96"
    ):
        fed([PHOTO], [video], clips="photo")
    found = fed([clip("clip", 5)], [video], clips="clip")
    assert found.features[0].settings["frames"] == 8 and "pool" not in found.hubs["module"]


def test_a_text_input_takes_one_text_of_a_record() -> None:
    several = column("text", "tags", most=3, values=2000, words=6.0)
    with pytest.raises(UserError, match="--input words=tags: the column holds up to 3 texts in a record"):
        fed([several], [ModuleInput("words", "text")], words="tags")


def test_an_input_is_given_once() -> None:
    assert named_feeds(["a=x", "b=x"]) == {"a": "x", "b": "x"}
    with pytest.raises(UserError, match=r"images is given twice \(images=a and images=b\)"):
        named_feeds(["images=a", "other=c", "images=b"])
