"""`hubline init` on images: class folders, backbones, modules of several inputs, boxes and masks."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from rich.console import Console

from hubline.core.errors import UserError
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.init.backbone import backbone_named, offer
from hubline.pipeline.init.column_profile import ModuleInput, ModuleProfile, PictureProfile
from hubline.pipeline.init.command import init
from hubline.pipeline.init.networks import Networks
from hubline.pipeline.init.pictures import describe_pictures
from hubline.pipeline.init.suggest import suggest
from hubline.pipeline.preflight import check
from tests.support import pixels
from tests.support.column_profiles import column, data, numbers
from tests.support.example_data import feature, image_bytes, random_image, record, write_tfrecord
from tests.support.hub_modules import two_inputs

SILENT = Console(file=io.StringIO())
LABEL = column("integer", "label", distinct=2, frequent=((0, 600), (1, 400)))


def written(folder: Path, label: str | None = None, hub: Path | None = None, **options) -> tuple[PipelineFile, str]:
    """The file that init writes for `folder/data`, which passes check, and its text."""
    output = folder / "pipeline.yaml"
    init(str(folder / "data"), label, hub and str(hub), output, False, SILENT, **options)
    file, _, _ = check(output)
    return file, " ".join(output.read_text().split())


def pictures(height: int, width: int, is_one_size: bool = True, is_grey: bool = False, **rest):
    return column("image", "photo", frequent=(), pictures=PictureProfile(height, width, is_one_size, is_grey, **rest))


@pytest.mark.parametrize(
    ("seen", "name", "size", "channels"),
    [
        (pictures(28, 28, is_grey=True), "lenet5", [28, 28], 1),
        (pictures(8, 8, is_grey=True), "LeNet-5", [16, 16], 1),
        (pictures(480, 640), "resnet34", [72, 96], 3),
        (pictures(33, 50, is_one_size=False), "resnet34", [32, 48], 3),
        (pictures(33, 50), "resnet34", [33, 50], 3),
        (pictures(28, 28, is_grey=True), "mobilenet_v2", [32, 32], 3),
        (pictures(480, 640), "MobileNetV2", [72, 96], 3),
        (column("image", "photo", frequent=()), "alexnet", [224, 224], 3),
    ],
)
def test_a_backbone_takes_pictures_in_their_own_size(seen, name, size, channels) -> None:
    found = suggest(data(seen, LABEL), networks=Networks(backbone=backbone_named(name, None, Path())))
    (photo,) = found.features
    assert photo.settings == {"kind": "image", "size": size} | ({"channels": 1} if channels == 1 else {})
    assert not found.hubs and found.backbones["photo_network"]["input"] == "photo"


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    weights = tmp_path / "weights" / "no_top.h5"
    with pytest.raises(UserError, match="there is no such file; Hubline downloads no weights"):
        backbone_named("mobilenet_v2", str(weights), tmp_path)
    weights.parent.mkdir()
    weights.touch()
    network = backbone_named("mobilenet_v2", str(weights), tmp_path / "weights")
    assert network.settings("photo") == {
        "kind": "keras_application", "name": "MobileNetV2", "weights": "no_top.h5", "input": "photo", "trainable": False
    }  # fmt: skip
    assert network.feature(pictures(480, 640))["size"] == [168, 224]
    with pytest.raises(UserError, match="lenet5 is always trained from random weights"):
        backbone_named("lenet5", str(weights), tmp_path)
    with pytest.raises(UserError, match="there is no such network; did you mean 'MobileNetV2'"):
        backbone_named("MobileNetV22", None, tmp_path)
    with pytest.raises(UserError, match=r"ends in \.h5"):
        backbone_named("mobilenet_v2", "no_top.npz", tmp_path)


def test_what_is_offered_suits_the_pictures() -> None:
    assert "--backbone lenet5 (or resnet34 or alexnet)" in offer(pictures(28, 28))
    assert "--backbone resnet34 (or lenet5 or alexnet)" in offer(pictures(480, 640))
    assert offer(column("image", most=8)) == "pass --hub HANDLE for a hub module of images or clips"
    with pytest.raises(UserError, match=r"only columns besides the label are images \(photo\).*--backbone lenet5"):
        suggest(data(pictures(28, 28), LABEL))
    with pytest.raises(UserError, match="--backbone lenet5: takes images, but no column holds any"):
        suggest(data(column(), LABEL), networks=Networks(backbone=backbone_named("lenet5", None, Path())))
    module = ModuleProfile("net", (ModuleInput("images", "image"),))
    with pytest.raises(UserError, match=r"--hub and --backbone both take the images \(photo\)"):
        suggest(data(pictures(8, 8), LABEL), networks=Networks(module, backbone_named("lenet5", None, Path())))


def test_pictures_are_described() -> None:
    grey = np.zeros([6, 8], np.uint8)
    grey[0, 0], grey[0, 1] = 2, 255
    found = describe_pictures(tf_array(image_bytes(grey), image_bytes(grey[:, :6])))
    assert found == PictureProfile(6, 6, is_one_size=False, is_grey=True, values=(0, 2, 255))
    assert describe_pictures(tf_array(random_image(0, 5, 9))) == PictureProfile(5, 9, True, False)
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (9, 5)).save(turned, "JPEG", exif=exif)
    assert describe_pictures(tf_array(turned.getvalue())) == PictureProfile(9, 5, True, False)
    assert describe_pictures(tf_array(b"no image")) is None


def tf_array(*images: bytes):
    import pyarrow as pa

    return pa.array(images, pa.binary())


@pytest.mark.parametrize("ending", ["PNG", "txt"])
def test_class_folders_are_converted(tmp_path: Path, ending: str) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(12):
            content = f"a {name} that says {number} things".encode() if ending == "txt" else random_image(number, 9, 9)
            (tmp_path / "data" / name / f"{number}.{ending}").write_bytes(content)
    if ending == "PNG":
        with pytest.raises(UserError, match="--backbone lenet5"):
            written(tmp_path)
        assert not (tmp_path / "data-tfrecords").exists()
        file, _ = written(tmp_path, backbone="lenet5")
        assert file.features["image"].size == (16, 16) and file.backbones["image_network"].kind == "lenet5"
    else:
        file, _ = written(tmp_path)
        assert file.features["text"].kind == "text"
    assert file.data.examples == str(tmp_path / "data-tfrecords") and file.label.classes == ("cat", "dog")


def test_clips_are_converted_with_a_chosen_size(tmp_path: Path) -> None:
    (tmp_path / "all" / "cat").mkdir(parents=True)
    (tmp_path / "all" / "cat" / "1.mp4").touch()
    with pytest.raises(UserError, match=r"hubline convert video \S+/all --output \S+/all-tfrecords --frames-per"):
        init(str(tmp_path / "all"), None, None, tmp_path / "p.yaml", False, SILENT)


def boxed(count: int, several: bool = False) -> list[bytes]:
    """Records in the format of `hubline convert boxes`."""
    found = []
    for number in range(count):
        times = 2 if several and number == 3 else 1
        labels = feature(*(["cat", "dog"][number % 2 : number % 2 + 1] * times))
        boxes = feature(*[0.25, 0.0, 0.5, 1.0] * times)
        books = {"file": f"{number}.png", "height": 8 + number % 3, "width": 8}
        found.append(record(image=random_image(number), boxes=boxes, box_labels=labels, **books))
    return found


@pytest.mark.parametrize("several", [False, True])
def test_boxes_become_a_class_and_a_box(tmp_path: Path, several: bool) -> None:
    write_tfrecord(tmp_path / "data" / "a", boxed(40, several))
    file, text = written(tmp_path, backbone="lenet5")
    assert file.label.model_dump(by_alias=True, exclude_defaults=True) == {
        "kind": "class_and_box", "from": "box_labels", "box": "boxes", "image": "image", "classes": ("cat", "dog"),
    }  # fmt: skip
    assert file.features.keys() == {"image"} and file.evaluation.thresholds.keys() == {"mean_iou"}
    assert ("up to 2 objects in a picture, of which the one with the largest box counts" in text) == several


def test_boxes_of_one_side_a_column_are_known_too() -> None:
    sides = [
        column(name=f"image/object/bbox/{side}", values=3000, most=3, fewest=3, numbers=numbers(0, 1))
        for side in ("xmin", "xmax", "ymin", "ymax")
    ]
    texts = column("text", "image/object/class/text", distinct=2, values=3000, most=3, fewest=3)
    ids = column("integer", "image/object/class/label", distinct=2, values=3000, most=3, fewest=3)
    network = Networks(backbone=backbone_named("resnet34", None, Path()))
    found = suggest(data(pictures(8, 8), texts, ids, *sides), networks=network)
    assert found.label.settings["box"] == {
        "top": "image/object/bbox/ymin", "left": "image/object/bbox/xmin",
        "bottom": "image/object/bbox/ymax", "right": "image/object/bbox/xmax",
    }  # fmt: skip
    assert [each.name for each in found.features] == ["photo"]
    assert "reveal the answer" in found.left_out["image/object/class/label"]


def test_of_a_label_and_objects_the_user_names_one(tmp_path: Path) -> None:
    grey = np.zeros([8, 8], np.uint8)
    rows = [record(photo=random_image(n), label=n % 2, segmentation_mask=image_bytes(grey + n % 2)) for n in range(12)]
    write_tfrecord(tmp_path / "data" / "a", rows)
    with pytest.raises(UserError, match=r"^label and segmentation_mask could be the label; pass --label COLUMN"):
        written(tmp_path, backbone="lenet5")
    file, _ = written(tmp_path, "label", backbone="lenet5")
    assert file.label.column == "label" and file.label.kind == "binary"
    classes = column("text", "box_labels", distinct=2, values=1000)
    boxes = column(name="boxes", values=4000, fewest=4, most=4, numbers=numbers(0, 1))
    network = Networks(backbone=backbone_named("lenet5", None, Path()))
    with pytest.raises(UserError, match=r"^label and box_labels could be the label; pass --label COLUMN"):
        suggest(data(LABEL, pictures(8, 8), classes, boxes), networks=network)
    masks = [column("image", name, frequent=(), pictures=PictureProfile(8, 8, True, True, (0, 1))) for name in MASKS]
    with pytest.raises(UserError, match=r"^front_mask and back_mask could be the label; pass --label COLUMN"):
        suggest(data(pictures(8, 8), *masks), networks=network)


MASKS = ("front_mask", "back_mask")


@pytest.mark.slow
def test_masks_become_pixels(tmp_path: Path) -> None:
    write_tfrecord(tmp_path / "data" / "a", pixels.records(30))
    with pytest.raises(UserError, match=r"needs the feature maps of a hub module.*pass --hub HANDLE"):
        written(tmp_path, backbone="lenet5")
    file, text = written(tmp_path, hub=pixels.module(tmp_path / "module"))
    assert (file.label.kind, file.label.image, len(file.label.classes)) == ("pixels", "image", 3)
    assert file.hubs["image_module"].outputs == ("block1", "block2", "block3")
    assert "'turn': a label of kind pixels is predicted from its image alone" in text
    assert not file.model.head.hidden


def test_what_is_no_mask_is_refused() -> None:
    module = Networks(ModuleProfile("net", (ModuleInput("images", "image"),), maps=("map",)))
    for values, says in [(None, "a mask is a PNG"), ((0, 255), "pixel values 0, 255"), ((0, 200), "from 0 to at most")]:
        mask = column("image", "mask", frequent=(), pictures=PictureProfile(8, 8, True, True, values))
        with pytest.raises(UserError, match=says):
            suggest(data(pictures(8, 8), mask), label="mask", networks=module)


@pytest.mark.slow
def test_of_a_module_with_two_inputs_columns_are_named(tmp_path: Path) -> None:
    grey = np.zeros([8, 8], np.uint8)
    rows = [record(one=random_image(n), other=image_bytes(grey + n), x=n / 7, label=n % 2) for n in range(20)]
    write_tfrecord(tmp_path / "data" / "a", rows)
    module = two_inputs(tmp_path / "module")
    with pytest.raises(UserError) as error:
        written(tmp_path, hub=module)
    assert str(error.value).splitlines() == [
        "module: the module takes left (images of 8 x 8), right (images of 8 x 8); say which column feeds left and "
        "right, such as: --input left=one --input right=other",
        "the columns are: one (images), other (images), x (numbers)",
    ]
    with pytest.raises(UserError, match="--input left=x: the column holds numbers, and the input takes images"):
        written(tmp_path, hub=module, inputs=["left=x", "right=one"])
    with pytest.raises(UserError, match="--input up=one: the module has no such input; known here: left, right"):
        written(tmp_path, hub=module, inputs=["up=one", "left=one", "right=other"])
    with pytest.raises(UserError, match="--input left: must be NAME=COLUMN"):
        written(tmp_path, hub=module, inputs=["left"])
    file, _ = written(tmp_path, hub=module, inputs=["left=one", "right=other"])
    assert file.hubs["module"].inputs == {"left": "one", "right": "other"}
    assert file.features["other"].channels == 1 and file.features.keys() == {"one", "other", "x"}
    assert tf.saved_model.load(str(module)).signatures.keys() == {"both"}
