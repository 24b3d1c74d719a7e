"""Names in artifacts that TFX's own components use too."""

from tfx.components.evaluator import constants
from tfx.components.example_validator import executor as example_validator
from tfx.components.schema_gen import executor as schema_gen

from hubline.artifacts import names


def test_names_are_those_of_tfx() -> None:
    assert names.ANOMALIES_FILE == example_validator.DEFAULT_FILE_NAME
    assert names.SCHEMA_FILE == schema_gen.DEFAULT_FILE_NAME
    assert names.BLESSED == constants.ARTIFACT_PROPERTY_BLESSED_KEY
