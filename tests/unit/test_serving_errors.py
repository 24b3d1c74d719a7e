"""What a client is told when a model fails."""

import pytest
import tensorflow as tf

from hubline.serving.errors import Code, of_model


@pytest.mark.parametrize("path", ["/srv/serving/7/variables", "gs://bucket/serving/7", "s3://bucket/a.b/c-d"])
def test_no_path_of_the_server_reaches_a_client(path: str) -> None:
    for error in (
        ValueError(f"{path}: no such file"),
        tf.errors.InvalidArgumentError(None, None, f"can't read {path}"),
    ):
        told = of_model(error)
        assert told.code is Code.INVALID_ARGUMENT
        assert "(a path of the server)" in told.message and "7" not in told.message and "bucket" not in told.message
    told = of_model(tf.errors.NotFoundError(None, None, path))
    assert told.code is Code.INTERNAL and path not in told.message


def test_what_only_looks_like_a_path_is_told() -> None:
    assert of_model(ValueError("1/2 of a/b and x / y")).message == "1/2 of a/b and x / y"
