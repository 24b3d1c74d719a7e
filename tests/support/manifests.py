"""Reads the kustomizations of `deploy/`, and checks manifests against the published schemas in tests/data."""

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

Json = dict[str, Any]

DEPLOY = Path(__file__).parents[2] / "deploy"
_DATA = Path(__file__).parents[1] / "data"


def kustomized(folder: Path) -> list[Json]:
    """The objects of a folder as `kubectl kustomize` prints them: with its images, patches and namespace."""
    own = read(folder / "kustomization.yaml")[0]
    objects = [each for name in own["resources"] for each in _resource(folder / name)]
    for patch in own.get("patches", []):
        kind, name = patch["target"]["kind"], patch["target"]["name"]
        (target,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
        for operation in YAML(typ="safe").load(patch["patch"]):
            assert operation["op"] == "add"
            _add(target, operation["path"].split("/")[1:], operation["value"])
    images = {each["name"]: each for each in own.get("images", [])}
    for container in (each for one in objects for each in containers(one)):
        if image := images.get(container.get("image")):
            container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
    return [each | {"metadata": {"namespace": own["namespace"], **each["metadata"]}} for each in objects]


def read(path: Path) -> list[Json]:
    return list(YAML(typ="safe").load_all(path))


def named(objects: list[Json], kind: str, name: str) -> Json:
    (found,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def containers(node: Any) -> Iterator[Json]:
    """All containers in an object, at any depth."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from value if key in ("containers", "initContainers") else containers(value)
    elif isinstance(node, list):
        for each in node:
            yield from containers(each)


def faults(manifest: Json) -> list[str]:
    """What an API server rejects, or drops because it doesn't know it."""
    validator = Draft202012Validator(_schema(manifest["kind"]))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]


@cache
def _schema(kind: str) -> Json:
    if kind != "FlinkDeployment":
        definitions = json.loads(gzip.decompress((_DATA / "kubernetes-1.33.json.gz").read_bytes()))
        return definitions | {"$ref": f"#/$defs/{kind}"}
    schema = _closed(json.loads(gzip.decompress((_DATA / "flinkdeployment-1.10.json.gz").read_bytes())))
    schema["properties"] |= {"apiVersion": {"const": "flink.apache.org/v1beta1"}, "kind": {}, "metadata": {}}
    return schema


def _closed(schema: Any) -> Any:
    """Forbids unknown keys, which an API server drops, except where it keeps them."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed


def _resource(path: Path) -> list[Json]:
    return kustomized(path.resolve()) if path.is_dir() else read(path)


def _add(target: Any, path: list[str], value: Any) -> None:
    """The operation `add` of a JSON patch (RFC 6902)."""
    *parents, last = path
    for key in parents:
        target = target[int(key)] if isinstance(target, list) else target[key]
    if last == "-":
        target.append(value)
    else:
        target[last] = value
