"""Bounds on the images in a request, by their headers."""

import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf

from hubline.serving.errors import RequestError
from hubline.serving.limits import Limits


def png(width: int, height: int) -> bytes:
    """The header of a PNG, after which the pixels are missing."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = b"IDAT"
    chunks = (struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (header, end))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def in_example(*images: bytes) -> bytes:
    features = {"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=images))}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def check(limits: Limits, *values: bytes) -> None:
    limits.check({"x": np.array(values, object)})


def test_an_image_may_have_as_many_pixels_as_the_limit_says() -> None:
    limits = Limits(pixels=400_000_000)
    for value in (png(20_000, 20_000), in_example(png(20_000, 20_000))):
        check(limits, value)
    for value in (png(20_000, 20_001), in_example(png(1, 1), png(20_001, 20_000))):
        with pytest.raises(RequestError, match="input 'x': an image has more than 400,000,000 pixels"):
            check(limits, value)


def test_the_images_of_a_request_are_bounded_together() -> None:
    limits = Limits(pixels=100)
    check(limits, *[png(10, 10)] * 10, b"no image", b"")
    for values in ([png(10, 10)] * 10 + [png(1, 1)], [in_example(*[png(10, 10)] * 6)] * 2):
        with pytest.raises(RequestError, match="input 'x': the images have more than 1,000 pixels together"):
            check(limits, *values)
