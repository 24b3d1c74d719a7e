"""The types of `serving` in the pipeline file."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from hubline.core.config_base import FilePath, Section, is_remote


class InferenceService(Section):
    """The InferenceService of KServe that is made, or changed, to serve each version that is pushed."""

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63, examples=["taxi-tips"])
    """Its name, by which clients ask the model, too."""
    namespace: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63, examples=["models"])
    """Its namespace."""
    models: FilePath = Field(min_length=1, examples=["gs://bucket/kserve/taxi-tips"])
    """The folder that takes a copy of each version in a folder of its own, from which KServe reads it; of this service
    alone."""
    storage_uri: str | None = Field(
        default=None, validate_default=True, pattern=r"^[a-z0-9]+://", examples=["pvc://models/taxi-tips"]
    )
    """What KServe calls the folder `models`, where that is on a volume."""
    mode: Literal["serverless", "raw"] = "serverless"
    """How KServe deploys it: as a service of Knative (Serverless, or Knative), or as a deployment of Kubernetes
    (RawDeployment, or Standard)."""
    canary_percent: int | None = Field(default=None, ge=1, le=99, examples=[10])
    """The share of the requests, in percent, that a new version answers, while the last one that had all of them
    answers the others; serverless alone. Where it is absent, all."""
    service_account: str | None = Field(default=None, min_length=1, examples=["model-reader"])
    """The service account of its pods, with which KServe reads `models`; that which it has, or the namespace's, where
    this is absent."""
    timeout_seconds: int = Field(default=600, ge=1, le=86_400)
    """For how many seconds a version may be under way until it is ready; what served before is put back then."""

    @field_validator("storage_uri")
    @classmethod
    def _can_be_read(cls, storage_uri: str | None, info: ValidationInfo) -> str | None:
        models = info.data.get("models")
        if models and storage_uri is None and not is_remote(models):
            raise ValueError(
                f"storage_uri is missing: KServe reads {models} from another machine; say what it calls that folder, "
                "such as pvc://CLAIM/FOLDER, or name a bucket in `models`"
            )
        return storage_uri

    @field_validator("canary_percent")
    @classmethod
    def _can_be_split(cls, canary_percent: int | None, info: ValidationInfo) -> int | None:
        if canary_percent is not None and info.data.get("mode") == "raw":
            raise ValueError(
                "in the mode raw KServe splits no requests between versions; leave it out, or use serverless"
            )
        return canary_percent


class Serving(Section):
    """Where blessed models go."""

    destination: FilePath = Field(min_length=1, examples=["gs://bucket/serving/model"])
    """The folder a model server watches; each version is a folder in it, named by an integer."""
    push: bool = True
    """Whether a blessed model is pushed; without, it stays among the artifacts of its run."""
    kserve: InferenceService | None = None
    """The InferenceService that serves what is pushed, where there is one."""
