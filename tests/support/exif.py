"""JPEGs with an EXIF orientation."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

_ORIENTATION = 0x0112
_INVERSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""By orientation, the inverse of the transposition that makes the stored image upright (EXIF 2.32, 4.6.4 A)."""


def jpeg(upright: np.ndarray, orientation: int) -> bytes:
    """A JPEG with this orientation whose upright image is uint8 [height, width, 3], without chroma subsampling."""
    image = Image.fromarray(upright)
    stored = image.transpose(_INVERSE[orientation]) if orientation in _INVERSE else image
    exif, out = Image.Exif(), io.BytesIO()
    exif[_ORIENTATION] = orientation
    stored.save(out, format="JPEG", quality=100, subsampling=0, exif=exif)
    return out.getvalue()


def stored_pixels(encoded: bytes) -> np.ndarray:
    """The pixels as TensorFlow decodes them, regardless of the orientation, uint8 [height, width, 3]."""
    return tf.io.decode_jpeg(encoded, 3).numpy()


def upright_pixels(encoded: bytes) -> np.ndarray:
    """The pixels as TensorFlow decodes them and Pillow transposes them; the two decode JPEGs slightly differently."""
    image = Image.fromarray(stored_pixels(encoded))
    image.info["exif"] = Image.open(io.BytesIO(encoded)).info["exif"]
    return np.asarray(ImageOps.exif_transpose(image))
