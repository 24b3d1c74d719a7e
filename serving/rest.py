"""TensorFlow Serving's REST API: https://www.tensorflow.org/tfx/serving/api_rest."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from hubline.serving import json_examples, json_tensors, protos
from hubline.serving.descriptions import metadata_json, model_status, status_json
from hubline.serving.errors import Code, RequestError
from hubline.serving.model import Model
from hubline.serving.service import Service
from hubline.serving.signature import CLASSIFY, REGRESS, signature_of

METRICS = "/monitoring/prometheus/metrics"

_SERVICE: web.AppKey[Service] = web.AppKey("service", Service)
_BODIES: web.AppKey[asyncio.Semaphore] = web.AppKey("bodies", asyncio.Semaphore)
_MODEL = r"/v1/models/{name:[^/:]+}{where:(?:/versions/[0-9]{1,19}|/labels/[^/:]+)?}"
_JSON = "application/json"
_TIMEOUT = "X-Request-Timeout-Seconds"
_LOGGER = logging.getLogger(__name__)


def application(service: Service) -> web.Application:
    """The web application."""
    app = web.Application(client_max_size=service.limits.body_bytes, middlewares=[_errors])
    app[_SERVICE], app[_BODIES] = service, asyncio.Semaphore(service.most_requests)
    app.router.add_post(_MODEL + ":predict", _predict)
    app.router.add_post(_MODEL + ":classify", _classify)
    app.router.add_post(_MODEL + ":regress", _regress)
    app.router.add_get(_MODEL, _status)
    app.router.add_get(_MODEL + "/metadata", _metadata)
    app.router.add_get(METRICS, _metrics)
    return app


@web.middleware
async def _errors(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """Answers every error as `{"error": ...}`."""
    method = request.match_info.handler.__name__.strip("_")
    try:
        with request.app[_SERVICE].counting("rest", method):
            try:
                return await handler(request)
            except web.HTTPException as error:
                raise _refused(request, error) from error
    except RequestError as error:
        return _error(error.http_status, error.message)
    except Exception:
        _LOGGER.exception("%s %s", request.method, request.path)
        return _error(500, "the server failed; its log has the details")


def _refused(request: web.Request, error: web.HTTPException) -> RequestError:
    """What aiohttp refuses: a body that is too large, an unknown path or method."""
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        most = request.app[_SERVICE].limits.body_bytes
        message = f"the body is too large: the limit is {most:,} bytes"
        return RequestError(Code.RESOURCE_EXHAUSTED, message, error.status)
    code = Code.NOT_FOUND if error.status == web.HTTPNotFound.status_code else Code.INVALID_ARGUMENT
    return RequestError(code, f"Malformed request: {request.method} {request.path}", error.status)


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _model(request: web.Request) -> Model:
    where = request.match_info["where"]
    kind, _, value = where.strip("/").partition("/")
    version = int(value) if kind == "versions" else None
    return request.app[_SERVICE].model(request.match_info["name"], version, value if kind == "labels" else "")


def _timeout(request: web.Request) -> float | None:
    try:
        seconds = float(request.headers.get(_TIMEOUT, "nan"))
    except ValueError:
        raise RequestError(Code.INVALID_ARGUMENT, f"{_TIMEOUT} must be a number of seconds") from None
    return seconds if seconds > 0 else None


@asynccontextmanager
async def _body(request: web.Request) -> AsyncIterator[dict[str, Any]]:
    """The object in the body, which counts as one of those in memory until the end of the block."""
    bodies, service = request.app[_BODIES], request.app[_SERVICE]
    if bodies.locked():
        raise RequestError(
            Code.RESOURCE_EXHAUSTED, f"{service.most_requests} requests are here already; try again later"
        )
    async with bodies:
        try:
            body = await asyncio.wait_for(request.read(), service.timeout)
        except asyncio.TimeoutError:
            raise RequestError(Code.DEADLINE_EXCEEDED, f"no whole body within {service.timeout:g} s") from None
        except (ConnectionError, web.RequestPayloadError) as error:
            raise RequestError(Code.CANCELLED, f"the body is not whole: {error}") from error
        yield await asyncio.to_thread(json_tensors.parse, body)


async def _predict(request: web.Request) -> web.Response:
    model = _model(request)
    async with _body(request) as body:
        signature = signature_of(model.signatures, _signature_name(body))
        inputs, as_rows = await asyncio.to_thread(json_tensors.inputs_of, body, signature)
        outputs = await request.app[_SERVICE].run(signature, inputs, _timeout(request))
        return web.Response(body=json_tensors.response(outputs, as_rows), content_type=_JSON)


async def _classify(request: web.Request) -> web.Response:
    return await _answer_examples(request, CLASSIFY, json_examples.classifications)


async def _regress(request: web.Request) -> web.Response:
    return await _answer_examples(request, REGRESS, json_examples.regressions)


async def _answer_examples(request: web.Request, method: str, answer: Callable[[Any], bytes]) -> web.Response:
    model = _model(request)
    async with _body(request) as body:
        signature = signature_of(model.signatures, _signature_name(body), method)
        inputs = protos.serialized(signature, await asyncio.to_thread(json_examples.examples_of, body))
        outputs = await request.app[_SERVICE].run(signature, inputs, _timeout(request))
        return web.Response(body=answer(outputs), content_type=_JSON)


def _signature_name(body: dict[str, Any]) -> str:
    name = body.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError(Code.INVALID_ARGUMENT, "'signature_name' must be a string")
    return name


async def _status(request: web.Request) -> web.Response:
    service, where = request.app[_SERVICE], request.match_info["where"]
    service.check_name(request.match_info["name"])
    kind, _, value = where.strip("/").partition("/")
    version = int(value) if kind == "versions" else _model(request).version if where else None
    return _json(status_json(model_status(service.models, version)))


async def _metadata(request: web.Request) -> web.Response:
    return _json(metadata_json(_model(request), request.match_info["name"]))


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=request.app[_SERVICE].metrics.text(), content_type="text/plain")


def _json(value: Any) -> web.Response:
    return web.json_response(value, dumps=lambda each: json.dumps(each, indent=1))
