"""Rolls models out to a KServe service, as the step KServe does."""

from typing import Any

import pytest

from hubline.components.config.serving import InferenceService
from hubline.components.kserve.inference_service import OwnedFields, connect
from hubline.components.kserve.roll_out import roll_out
from hubline.core.errors import RunError
from tests.support.kubernetes_api import NAMESPACE, KubernetesApi

ONE, TWO, THREE = (f"gs://bucket/models/{version}" for version in (1, 2, 3))
RAW = {"serving.kserve.io/deploymentMode": "Standard"}


def config(**values: Any) -> InferenceService:
    given = {"name": "taxi", "namespace": NAMESPACE, "models": "gs://bucket/models", **values}
    return InferenceService.model_validate(given)


def serve(state: str, uri: str, timeout_seconds: float = 20.0, **values: Any):
    said = config(**values)
    wanted = OwnedFields(storage_uri=uri, canary_percent=said.canary_percent, service_account=said.service_account)
    with connect(said) as services:
        return roll_out(services, wanted, state, timeout_seconds)


def fails(state: str, uri: str, message: str, **values: Any) -> str:
    with pytest.raises(RunError, match=message) as caught:
        serve(state, uri, timeout_seconds=0.1, **values)
    return str(caught.value)


def model(uri: str) -> dict[str, Any]:
    return {"modelFormat": {"name": "tensorflow"}, "storageUri": uri}


def predictor(cluster: KubernetesApi) -> dict[str, Any]:
    return cluster.services["taxi"]["spec"]["predictor"]
