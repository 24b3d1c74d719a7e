"""The published contract of the Kubeflow Pipelines API, and validation of calls and responses."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema

Json = dict[str, Any]
CONTRACT = Path(__file__).parents[1] / "data" / "kfp_api_v2beta1.swagger.json"


class Refusal(Exception):
    """An error response of the API, as in https://grpc.github.io/grpc/core/md_doc_statuscodes.html."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Contract:
    """The published contract."""

    def __init__(self) -> None:
        self._swagger = json.loads(CONTRACT.read_text())
        self._formats = jsonschema.FormatChecker(formats=())
        self._formats.checks("date-time", raises=ValueError)(_is_moment)
        self._strict = {
            asking: {"definitions": _strict(self._swagger["definitions"], asking)} for asking in (True, False)
        }
        self._paths = [
            (re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/:]+)", re.escape(path)) + "$"), method.upper(), operation)
            for path, operations in self._swagger["paths"].items()
            for method, operation in operations.items()
        ]

    def find(self, method: str, path: str) -> tuple[Json, Json]:
        """The operation, and the parameters in its path."""
        for pattern, its_method, operation in self._paths:
            if its_method == method and (match := pattern.match(path)):
                return operation, match.groupdict()
        raise Refusal(404, f"Not Found: {method} {path}")

    def faults_of_call(
        self, operation: Json, query: Mapping[str, str], body: Any, files: Sequence[str]
    ) -> Iterator[str]:
        """Violations in a call."""
        known = {each["name"]: each for each in operation.get("parameters", ())}
        for name, value in query.items():
            if known.get(name, {}).get("in") != "query":
                yield f"{operation['operationId']}: there is no query parameter {name}"
            elif known[name]["type"] == "integer" and not value.isdecimal():
                yield f"{operation['operationId']}: {name}={value} is no integer"
        expected = [each["name"] for each in known.values() if each["in"] == "formData" and each.get("required")]
        if sorted(files) != sorted(expected):
            yield f"{operation['operationId']}: has the files {files}, and takes {expected}"
        schema = next((each["schema"] for each in known.values() if each["in"] == "body"), None)
        if (schema is None) != (body is None):
            yield f"{operation['operationId']}: {'takes a body' if schema else 'takes no body'}"
        if schema is not None and body is not None:
            yield from self._faults(schema, body, asking=True)

    def faults_of_answer(self, operation: Json, answer: Any) -> Iterator[str]:
        """Violations in a response."""
        yield from self._faults(operation["responses"]["200"]["schema"], answer, asking=False)

    def _faults(self, schema: Json, value: Any, asking: bool) -> Iterator[str]:
        validator = jsonschema.Draft4Validator({**schema, **self._strict[asking]}, format_checker=self._formats)
        for error in validator.iter_errors(value):
            yield f"{'call' if asking else 'answer'}: {'.'.join(map(str, error.absolute_path))}: {error.message}"


def _strict(value: Any, asking: bool) -> Any:
    """The schema with unknown fields rejected, as grpc-gateway does; and with int64 as a number too, as in proto3's
    JSON."""
    if isinstance(value, list):
        return [_strict(each, asking) for each in value]
    if not isinstance(value, dict):
        return value
    strict = {key: _strict(each, asking) for key, each in value.items()}
    if "properties" in value and value.get("type") == "object" and "@type" not in value["properties"]:
        strict.setdefault("additionalProperties", False)
    if asking and value.get("type") == "string" and value.get("format") == "int64":
        strict["type"] = ["string", "integer"]
    return strict


def _is_moment(value: object) -> bool:
    if not isinstance(value, str):
        return True
    return datetime.fromisoformat(value.replace("Z", "+00:00")).tzinfo is not None
