"""TensorFlow Serving's answers to Classify and Regress requests, by its rules: servables/tensorflow/classifier.cc and
regressor.cc."""

import tensorflow as tf
from google.protobuf.message import Message
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2


def classify(path: str, request: Message) -> classification_pb2.ClassificationResponse:
    """The response to a ClassificationRequest."""
    found = _run(path, request, "tensorflow/serving/classify", {"classes": tf.string, "scores": tf.float32})
    assert found["classes"].ndim == found["scores"].ndim == 2 and found["classes"].shape == found["scores"].shape
    response = classification_pb2.ClassificationResponse()
    for names, scores in zip(found["classes"], found["scores"], strict=True):
        one = response.result.classifications.add()
        for name, score in zip(names, scores, strict=True):
            one.classes.add(label=name, score=score)
    return response


def regress(path: str, request: Message) -> regression_pb2.RegressionResponse:
    """The response to a RegressionRequest."""
    found = _run(path, request, "tensorflow/serving/regress", {"outputs": tf.float32})["outputs"]
    assert found.ndim == 1 or (found.ndim == 2 and found.shape[1] == 1)
    response = regression_pb2.RegressionResponse()
    for value in found.reshape(-1):
        response.result.regressions.add(value=value)
    return response


def _run(path: str, request: Message, method: str, outputs: dict[str, tf.DType]) -> dict:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], path)
        signature = graph.signature_def[request.model_spec.signature_name]
        assert signature.method_name == method
        ((name, examples),) = signature.inputs.items()
        assert name == "inputs" and examples.dtype == tf.string
        assert {name: tf.as_dtype(tensor.dtype) for name, tensor in signature.outputs.items()} == outputs
        names = {name: tensor.name for name, tensor in signature.outputs.items()}
        return session.run(names, {examples.name: _examples(request.input)})


def _examples(given: input_pb2.Input) -> list[bytes]:
    assert given.WhichOneof("kind") == "example_list"
    return [example.SerializeToString() for example in given.example_list.examples]
