"""TensorFlow Serving's gRPC API: PredictionService and ModelService."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from hubline.serving import json_examples, protos
from hubline.serving.descriptions import SIGNATURES, fill_spec, model_metadata, model_status
from hubline.serving.errors import Code, RequestError, invalid
from hubline.serving.model import Model
from hubline.serving.service import Service
from hubline.serving.signature import CLASSIFY, DEFAULT, REGRESS, Arrays, chosen, signature_of

_LOGGER = logging.getLogger(__name__)


def server(service: Service) -> grpc.aio.Server:
    """A server without a port."""
    size = service.limits.body_bytes
    options = [
        ("grpc.max_receive_message_length", size),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
    ]
    found = grpc.aio.server(options=options, maximum_concurrent_rpcs=service.most_requests)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Prediction(service), found)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Model(service), found)
    return found


class _Servicer:
    def __init__(self, service: Service) -> None:
        self.service = service

    async def reply(self, method: str, context: grpc.aio.ServicerContext, answer: Callable[[], Awaitable]) -> Any:
        """Counts a request, and answers errors with their code."""
        try:
            with self.service.counting("grpc", method):
                return await answer()
        except RequestError as error:
            await context.abort(error.code, error.message)
        except Exception:
            _LOGGER.exception("%s", method)
            await context.abort(Code.INTERNAL, "the server failed; its log has the details")

    def loaded(self, spec: Any) -> Model:
        return self.service.model(spec.name, _version(spec), spec.version_label)


class _Prediction(_Servicer, prediction_service_pb2_grpc.PredictionServiceServicer):
    async def Predict(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async def answer() -> Any:
            model = self.loaded(request.model_spec)
            signature = signature_of(model.signatures, request.model_spec.signature_name)
            inputs = protos.arrays(request.inputs, self.service.limits.body_bytes)
            outputs = chosen(await self.service.run(signature, inputs, context.time_remaining()), request.output_filter)
            response = predict_pb2.PredictResponse()
            for name, array in outputs.items():
                response.outputs[name].CopyFrom(protos.tensor_of(array))
            fill_spec(response.model_spec, request.model_spec.name, model, signature.name)
            return response

        return await self.reply("predict", context, answer)

    async def Classify(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async def answer() -> Any:
            model, outputs = await self.on_examples(request.model_spec, request.input, CLASSIFY, context)
            response = classification_pb2.ClassificationResponse(result=_classifications(outputs))
            fill_spec(response.model_spec, request.model_spec.name, model, request.model_spec.signature_name)
            return response

        return await self.reply("classify", context, answer)

    async def Regress(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async def answer() -> Any:
            model, outputs = await self.on_examples(request.model_spec, request.input, REGRESS, context)
            response = regression_pb2.RegressionResponse(result=_regressions(outputs))
            fill_spec(response.model_spec, request.model_spec.name, model, request.model_spec.signature_name)
            return response

        return await self.reply("regress", context, answer)

    async def MultiInference(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async def answer() -> Any:
            if not request.tasks:
                raise invalid("the request has no tasks")
            response = inference_pb2.MultiInferenceResponse()
            for task in request.tasks:
                if task.method_name not in (CLASSIFY, REGRESS):
                    raise RequestError(Code.UNIMPLEMENTED, f"method '{task.method_name}' isn't answered in one request")
                model, outputs = await self.on_examples(task.model_spec, request.input, task.method_name, context)
                result = response.results.add()
                fill_spec(result.model_spec, task.model_spec.name, model, task.model_spec.signature_name)
                if task.method_name == CLASSIFY:
                    result.classification_result.CopyFrom(_classifications(outputs))
                else:
                    result.regression_result.CopyFrom(_regressions(outputs))
            return response

        return await self.reply("multi_inference", context, answer)

    async def GetModelMetadata(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async def answer() -> Any:
            if not request.metadata_field:
                raise invalid("the request has no metadata_field")
            if unknown := set(request.metadata_field) - {SIGNATURES}:
                raise invalid(f"metadata field '{min(unknown)}' isn't supported, only '{SIGNATURES}'")
            return model_metadata(self.loaded(request.model_spec), request.model_spec.name)

        return await self.reply("metadata", context, answer)

    async def on_examples(
        self, spec: Any, given: Any, method: str, context: grpc.aio.ServicerContext
    ) -> tuple[Model, Arrays]:
        model = self.loaded(spec)
        signature = signature_of(model.signatures, spec.signature_name or DEFAULT, method)
        inputs = protos.serialized(signature, protos.examples(given))
        return model, await self.service.run(signature, inputs, context.time_remaining())


class _Model(_Servicer, model_service_pb2_grpc.ModelServiceServicer):
    async def GetModelStatus(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async def answer() -> Any:
            spec = request.model_spec
            self.service.check_name(spec.name)
            version = self.loaded(spec).version if spec.version_label else _version(spec)
            return model_status(self.service.models, version)

        return await self.reply("status", context, answer)

    async def HandleReloadConfigRequest(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        await context.abort(Code.UNIMPLEMENTED, "the models of this server are set when it starts")


def _version(spec: Any) -> int | None:
    """The version that a ModelSpec names by number."""
    return spec.version.value if spec.HasField("version") else None


def _classifications(outputs: Arrays) -> Any:
    result = classification_pb2.ClassificationResult()
    names, scores = json_examples.class_scores(outputs)
    for row, numbers in zip(names, np.asarray(scores), strict=True):
        classes = result.classifications.add().classes
        for label, score in zip(row, numbers, strict=True):
            classes.add(label=label, score=score)
    return result


def _regressions(outputs: Arrays) -> Any:
    result = regression_pb2.RegressionResult()
    for number in json_examples.numbers(outputs):
        result.regressions.add(value=number)
    return result
