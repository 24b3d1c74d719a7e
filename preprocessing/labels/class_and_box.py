"""Label kind `class_and_box`: the class and the bounding box of one object."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.categorical import as_words
from hubline.preprocessing.kinds.kind import Columns, TransformContext, Values
from hubline.preprocessing.labels.label import LABEL, VOCABULARY, ClassesKind, ClassNames, found_classes, position_of

ColumnName = Annotated[str, Field(min_length=1)]


class Sides(Section):
    """One column per side of the boxes."""

    top: ColumnName = Field(examples=["image/object/bbox/ymin"])
    """Column of the top edges, one per object."""
    left: ColumnName = Field(examples=["image/object/bbox/xmin"])
    """Column of the left edges."""
    bottom: ColumnName = Field(examples=["image/object/bbox/ymax"])
    """Column of the bottom edges."""
    right: ColumnName = Field(examples=["image/object/bbox/xmax"])
    """Column of the right edges."""


class LossWeights(Section):
    """Weight of each term of the loss."""

    of_class: float = Field(default=1.0, gt=0.0, alias="class")
    """Weight of the cross-entropy of the class."""
    box: float = Field(default=1.0, gt=0.0)
    """Weight of the box loss, 1 - GIoU, which ranges from 0 to 2."""


class ClassAndBoxLabel(ClassesKind):
    """One object in an image: its class and its bounding box."""

    kind: Literal["class_and_box"]
    column: str = Field(alias="from", min_length=1, examples=["box_labels"])
    """Column with the class of each object in the image, strings or integers. If there are several objects, the one
    with the largest box counts."""
    box: ColumnName | Sides = Field(examples=["boxes"])
    """Column with the top, left, bottom and right of each object's box, four numbers per object, as `hubline convert
    boxes` writes it; or one column per side."""
    image: str = Field(min_length=1, examples=["photo"])
    """The image feature that the boxes belong to."""
    classes: ClassNames | None = Field(default=None, min_length=1, examples=[["WBC", "Platelets"]])
    """Names of the classes. A string column contains names, and objects of other classes are ignored; an integer column
    contains positions, from 0. Default: the values of the training split, most frequent first."""
    units: Literal["shares", "pixels"] = "shares"
    """Units of the coordinates: `shares` of the image's height and width, from 0 to 1, or `pixels`."""
    height: str | None = Field(default=None, min_length=1, examples=["height"])
    """With `units: pixels`, the column with the image's height in pixels."""
    width: str | None = Field(default=None, min_length=1, examples=["width"])
    """With `units: pixels`, the column with the image's width in pixels."""
    loss_weights: LossWeights = LossWeights()
    """Weights of the class and the box in the training loss."""

    @field_validator("box", mode="wrap")
    @classmethod
    def _one_sort(cls, value, read, info: ValidationInfo):
        # Validate against one type of box only, so that errors name the type that was meant rather than both.
        return Sides.model_validate(value, context=info.context) if isinstance(value, dict) else read(value)

    @model_validator(mode="after")
    def _size_of_pixels(self) -> ClassAndBoxLabel:
        if self.units == "pixels" and (self.height is None or self.width is None):
            raise ValueError(
                "with units: pixels, set `height` and `width` to the columns of the image size, as `hubline "
                "convert boxes` writes them"
            )
        if self.units == "shares" and (self.height is not None or self.width is not None):
            raise ValueError("height and width require units: pixels; remove them")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError(f"columns must be distinct; got {', '.join(self.columns)}")
        return self

    @property
    def sides(self) -> tuple[str, ...]:
        """The column of boxes, or those of top, left, bottom and right."""
        box = self.box
        return (box.top, box.left, box.bottom, box.right) if isinstance(box, Sides) else (box,)

    @property
    def size(self) -> tuple[str, ...]:
        """With `units: pixels`, the columns of height and width; otherwise none."""
        return (self.height, self.width) if self.height and self.width else ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the classes, the boxes and the size."""
        return (self.column, *self.sides, *self.size)

    @property
    def named_classes(self) -> tuple[str, ...] | None:
        return self.classes

    @property
    def picture(self) -> str:
        return self.image

    @property
    def can_be_mixed(self) -> bool:
        """False: two blended images have two boxes."""
        return False

    @property
    def are_known(self) -> bool:
        """True if classes are listed: ingestion validates every record against them."""
        return self.classes is not None

    def transform(self, read: TransformContext) -> dict[str, Values]:
        """The class index followed by the box, as `boxes` returns it; float32 [batch, 5]."""
        index = tf.cast(self.index(read), tf.float32)
        return {LABEL: tf.concat([index[:, tf.newaxis], self.boxes(read)], axis=1)}

    def index(self, read: TransformContext) -> tf.Tensor:
        """Index of the class; -1 if unknown."""
        values = tf.gather(read(self.column).values, self._largest(read))
        if self.classes is not None:
            return position_of(values, self.classes)
        from hubline.preprocessing.analysis import VocabularyLimits
        from hubline.preprocessing.columns import present

        return read.analysis.look_up(VOCABULARY, present(as_words(values)), VocabularyLimits()).values

    def names(self, read: Columns) -> tf.Tensor:
        """The class of the largest object."""
        values = tf.gather(read(self.column).values, self._largest(read))
        if values.dtype != tf.string and self.classes:
            return tf.gather(tf.constant(list(self.classes)), values)
        return as_words(values)

    def class_names(self, transform: tft.TFTransformOutput) -> list[str]:
        return list(self.classes) if self.classes is not None else found_classes(transform)

    def boxes(self, read: Columns) -> tf.Tensor:
        """The box of the largest object, float32 [batch, 4]: top, left, bottom and right as fractions of the image's
        height and width, in [0, 1]."""
        return tf.clip_by_value(tf.gather(self._of_objects(read), self._largest(read)), 0.0, 1.0)

    def objects(self, read: Columns) -> tf.Tensor:
        """Number of objects of the label's classes in each image, int64 [batch]."""
        objects = read(self.column)
        counted = tf.cast(self._count(objects.values), tf.int64)
        return tf.math.unsorted_segment_sum(counted, objects.indices[:, 0], objects.dense_shape[0])

    def _of_objects(self, read: Columns) -> tf.Tensor:
        """Boxes of all objects in a batch, as fractions of the image; float32 [objects, 4]. Ingestion ensures one box
        per object."""
        columns = [tf.cast(read(column).values, tf.float32) for column in self.sides]
        boxes = tf.reshape(columns[0], [-1, 4]) if len(columns) == 1 else tf.stack(columns, axis=1)
        if not self.size:
            return boxes
        size = tf.stack([tf.cast(read(column).values, tf.float32) for column in self.size], axis=1)
        return boxes / tf.tile(tf.gather(size, read(self.column).indices[:, 0]), [1, 2])

    def _count(self, values: tf.Tensor) -> tf.Tensor:
        """Whether each object has one of the label's classes: bool [objects]."""
        if self.classes is None or values.dtype != tf.string:
            return tf.ones_like(values, tf.bool)
        return tf.reduce_any(values[:, tf.newaxis] == tf.constant(list(self.classes)), axis=1)

    def _largest(self, read: Columns) -> tf.Tensor:
        """Index, among all objects of the batch, of each image's largest object; the first of equally large ones. int64
        [batch]."""
        objects = read(self.column)
        picture, batch = objects.indices[:, 0], objects.dense_shape[0]
        top, left, bottom, right = tf.unstack(self._of_objects(read), axis=1)
        area = tf.where(self._count(objects.values), (bottom - top) * (right - left), -1.0)
        greatest = tf.math.unsorted_segment_max(area, picture, batch)
        number = tf.range(tf.size(area, tf.int64))
        others = tf.where(area == tf.gather(greatest, picture), number, tf.size(area, tf.int64))
        return tf.math.unsorted_segment_min(others, picture, batch)
