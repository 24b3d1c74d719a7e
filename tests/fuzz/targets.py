"""The readers of input from outside that are fuzzed in this process."""

import io
import itertools
import shutil
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import tensorflow as tf
from hypothesis import strategies as st

from hubline.components.example_gen.ingest import ingest
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.components.hub_module.archive import read_saved_model, unpack
from hubline.core.errors import DataError, UserError
from hubline.pipeline.convert.from_boxes import in_annotations
from hubline.pipeline.convert.from_images import with_labels
from hubline.pipeline.convert.labels import read_labels
from hubline.pipeline.convert.picture import picture
from hubline.pipeline.convert.record import record_of
from hubline.pipeline.load import read
from hubline.preprocessing import encoded_images
from hubline.preprocessing.image_files import BadFile
from hubline.serving.errors import RequestError
from hubline.serving.limits import Limits
from hubline.trainer.reaching_operations import refuse_reaching
from hubline.trainer.saved_model import SavedModel
from hubline.trainer.saved_model_interface import RareInterfaceError, interface_of
from tests.fuzz.edits import edited
from tests.fuzz.fuzzing import Attempt, Target
from tests.support import example_data, hub_modules, ingestion, tf1_hub_modules
from tests.support.project import PIPELINE

JSON_TOKENS = (
    b"null",
    b"NaN",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"[[",
    b"{}",
    b'""',
    b'"\\ud800"',
    b"true",
    b"0",
)
_PIXELS = Limits(pixels=1_000_000)


def in_process(attempt: Callable[[Path, int, bytes], bool]) -> Callable[[Path], AbstractContextManager[Attempt]]:
    """The `attempt` of a target that needs nothing but a folder."""

    @contextmanager
    def ready(folder: Path) -> Iterator[Attempt]:
        yield lambda number, data: attempt(folder, number, data)

    return ready


def _pipeline_file(folder: Path, _: int, data: bytes) -> bool:
    path = folder / "pipeline.yaml"
    path.write_bytes(data)
    try:
        return read(path).file is not None
    except UserError:
        return False


def _record(folder: Path, _: int, data: bytes) -> bool:
    """A tf.Example, by the checks in Python, and by TensorFlow where they find no fault."""
    if find_fault(data, ingestion.CONTRACT):
        return False
    kind = kind_of(data, ingestion.CONTRACT)
    try:
        return bool(tf.reduce_all(are_sound(tf.constant([data]), ingestion.CONTRACT, kind)))
    except (tf.errors.OpError, UnicodeDecodeError):  # the step says that the record can't be parsed
        return False


_numbers = itertools.count()


def _tfrecord(folder: Path, _: int, data: bytes) -> bool:
    path, out = folder / f"{next(_numbers)}.tfrecord", folder / "ingested"
    path.write_bytes(data)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    try:
        result = ingest(ingestion.job(path, policy="quarantine"), str(out))
        return result.quarantined_records == 0
    except DataError:
        return False
    finally:
        path.unlink()


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def _decoded(encoded: tf.Tensor) -> tf.Tensor:
    return encoded_images.decode(encoded)


def _image(folder: Path, _: int, data: bytes) -> bool:
    """An image as a request to the server, as a file to convert, and in a record."""
    try:
        _PIXELS.check({"image": tf.constant([data]).numpy()})
        picture(data)
    except (RequestError, BadFile):
        return False
    encoded_images.format_fault(data)
    try:
        _decoded(tf.constant(data))
    except tf.errors.InvalidArgumentError:
        return False
    return True


def _archive(folder: Path, number: int, data: bytes) -> bool:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    path, into = home / f"m{('.tar', '.tar.gz')[number % 2]}", home / "a" / "b" / "into"
    path.write_bytes(data)
    try:
        content = read_saved_model(str(path))
        unpacked = unpack(str(path), str(into))
        assert Path(unpacked, "saved_model.pb").read_bytes() == content, "check and step read different models"
        return True
    except UserError:
        return False
    finally:
        shutil.rmtree(into, ignore_errors=True)
        outside = {str(file.relative_to(home)) for file in home.rglob("*")} - {
            path.name,
            "m.tar",
            "m.tar.gz",
            "a",
            "a/b",
        }
        assert not outside, f"written outside: {sorted(outside)}"


@st.composite
def _archives(draw: st.DrawFn, seeds: Sequence[bytes]) -> tuple[int, bytes]:
    """Edited archives, and well-formed ones of strange members."""
    if draw(st.booleans()):
        return draw(edited(seeds))
    out = io.BytesIO()
    names = st.lists(st.sampled_from(("..", "a", "m", "saved_model.pb", "", ".", "\x00", "é", "x" * 300)), max_size=5)
    kinds = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
    form = draw(st.sampled_from((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)))
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for _ in range(draw(st.integers(1, 5))):
            member = tarfile.TarInfo(draw(st.sampled_from(("", "/"))) + "/".join(draw(names)))
            member.type, member.linkname = draw(st.sampled_from(kinds)), "/".join(draw(names))
            member.mode, member.mtime = draw(st.integers(0, 0o7777)), draw(st.integers(0, 2**40))
            content = draw(st.binary(max_size=5)) if member.type == tarfile.REGTYPE else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return 0, out.getvalue()


def _archive_seeds(folder: Path) -> list[bytes]:
    found = []
    for mode in ("w", "w:gz"):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
            for name in ("m/saved_model.pb", "m/variables/variables.index"):
                member = tarfile.TarInfo(name)
                member.size = 7
                tar.addfile(member, io.BytesIO(b"content"))
        found.append(out.getvalue())
    return found


def _saved_model(folder: Path, _: int, data: bytes) -> bool:
    try:
        saved = SavedModel.parse(data, "saved_model.pb")
        refuse_reaching(saved)
        interface_of(saved)
    except (UserError, RareInterfaceError):
        return False
    return True


def _saved_model_seeds(folder: Path) -> list[bytes]:
    made = (
        hub_modules.mean_colour(folder / "mean"),
        hub_modules.two_inputs(folder / "two"),
        tf1_hub_modules.images(folder / "tf1"),
    )
    return [(path / "saved_model.pb").read_bytes() for path in made]


_COCO = b"""{"images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}], "annotations": [{"image_id": 1,
"category_id": 2, "bbox": [1, 2, 3, 4.5], "iscrowd": 0}], "categories": [{"id": 2, "name": "cat"}]}"""
_VOC = b"""<annotation><filename>a.png</filename><size><width>8</width><height>8</height></size><object><name>cat</name>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>6</ymax></bndbox></object></annotation>"""
_TABLE = b"file,label\na.png,cat\n"


def _annotations(folder: Path, number: int, data: bytes) -> bool:
    images, boxes = folder / "images", folder / "boxes"
    if not images.exists():
        images.mkdir()
        boxes.mkdir()
        (images / "a.png").write_bytes(example_data.random_image(0))
    path = (folder / "coco.json", boxes / "a.xml", folder / "labels.csv")[number]
    path.write_bytes(data)
    try:
        if number == 2:
            collection = with_labels(images, read_labels(path, "file", "label", None), several=False)
        else:
            collection = in_annotations(boxes if number == 1 else path, images)
        made = [record_of(collection, item) for item in collection.items]
    except UserError:
        return False
    return not collection.bad and not any(isinstance(each, str) for each in made)


_YAML_TOKENS = (
    *(b"{", b"}", b": ", b"\n", b"- ", b"!!python/object:os.system ", b"&a ", b"*a", b"<<: ", b"? ", b"|\n", b"~"),
    *(b".nan", b"1e400", b"'", b'"', b"\t", b"#", b"kind: ", b"[", b"]", b"0o7", b"2026-01-01"),
)
_IMAGE_TOKENS = (
    b"IHDR",
    b"PLTE",
    b"tRNS",
    b"eXIf",
    b"\xff\xd8",
    b"\xff\xe1",
    b"Exif\x00\x00",
    b"GIF89a",
    b"\x21\xf9\x04",
)
_ANNOTATION_TOKENS = (
    *(*JSON_TOKENS, b"../../etc/passwd", b"/etc/passwd", b"<!DOCTYPE a>", b"&lt;", b"&x;", b"inf", b",", b"\n", b'"'),
    b"<?xml version='1.0' encoding='utf-7'?>",
)


def _example_seeds(folder: Path) -> list[bytes]:
    return [*example_data.labelled(2), example_data.sequence(example_data.labelled(1)[0])]


def _tfrecord_seeds(folder: Path) -> list[bytes]:
    paths = [
        example_data.write_tfrecord(folder / f"seed{form}", example_data.labelled(3), form) for form in ("", "GZIP")
    ]
    return [path.read_bytes() for path in paths]


def _image_seeds(folder: Path) -> list[bytes]:
    return [example_data.random_image(0, 9, 7, form) for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")]


IN_PROCESS = (
    Target("pipeline files", lambda _: [PIPELINE.encode()], in_process(_pipeline_file), _YAML_TOKENS),
    Target("tf.Examples", _example_seeds, in_process(_record)),
    Target("TFRecord files", _tfrecord_seeds, in_process(_tfrecord)),
    Target("images", _image_seeds, in_process(_image), _IMAGE_TOKENS),
    Target("archives", _archive_seeds, in_process(_archive), inputs=_archives),
    Target("SavedModel protos", _saved_model_seeds, in_process(_saved_model)),
    Target("annotation files", lambda _: [_COCO, _VOC, _TABLE], in_process(_annotations), _ANNOTATION_TOKENS),
)
