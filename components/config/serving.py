"""Types of the `serving` section."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from hubline.core.config_base import FilePath, Section, is_remote
from hubline.serving.check.config import ServingCheck


class InferenceService(Section):
    """The KServe InferenceService to create or update for each pushed version."""

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63, examples=["taxi-tips"])
    """Name of the InferenceService, and of the model in requests."""
    namespace: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63, examples=["models"])
    """Kubernetes namespace of the InferenceService."""
    models: FilePath = Field(min_length=1, examples=["gs://bucket/kserve/taxi-tips"])
    """Folder that each version is copied into, as a subfolder that KServe loads. No other InferenceService may use this
    folder."""
    storage_uri: str | None = Field(
        default=None, validate_default=True, pattern=r"^[a-z0-9]+://", examples=["pvc://models/taxi-tips"]
    )
    """URI by which KServe reaches the folder `models`. Required if that folder is on a volume."""
    mode: Literal["serverless", "raw"] = "serverless"
    """How KServe deploys the model: `serverless` uses Knative (KServe's Serverless, or Knative); `raw` uses a
    Kubernetes Deployment (RawDeployment, or Standard)."""
    canary_percent: int | None = Field(default=None, ge=1, le=99, examples=[10])
    """Percentage of requests that a new version answers; the last version that received all traffic answers the rest.
    `serverless` only. Default: the new version answers all requests."""
    service_account: str | None = Field(default=None, min_length=1, examples=["model-reader"])
    """Service account of the pods, with which KServe reads `models`. Default: the one that the InferenceService already
    has, or else the namespace's."""
    timeout_seconds: int = Field(default=600, ge=1, le=86_400)
    """Seconds until a new version must be ready. After that, the previous version is restored."""

    @field_validator("storage_uri")
    @classmethod
    def _can_be_read(cls, storage_uri: str | None, info: ValidationInfo) -> str | None:
        models = info.data.get("models")
        if models and storage_uri is None and not is_remote(models):
            raise ValueError(
                f"storage_uri is missing: KServe reads {models} from another machine; set its name for that folder, "
                "such as pvc://CLAIM/FOLDER, or set `models` to a bucket"
            )
        return storage_uri

    @field_validator("canary_percent")
    @classmethod
    def _can_be_split(cls, canary_percent: int | None, info: ValidationInfo) -> int | None:
        if canary_percent is not None and info.data.get("mode") == "raw":
            raise ValueError(
                "KServe can't split traffic between versions in raw mode; remove canary_percent, or use serverless"
            )
        return canary_percent


class Card(Section):
    """Texts for the model card of each pushed version."""

    intended_use: str = Field(default="", examples=["Ranks photos for a person who decides."])
    """What the model is for, and what it isn't for."""
    owner: str = Field(default="", examples=["vision@example.org"])
    """Who answers for the model."""


class Serving(Section):
    """Where blessed models are pushed."""

    destination: FilePath = Field(min_length=1, examples=["gs://bucket/serving/model"])
    """The folder that a model server watches; each version is a subfolder named by an integer."""
    push: bool = True
    """Whether to push a blessed model. With `false`, the model stays among the artifacts of its run."""
    check: ServingCheck = ServingCheck()
    """The check that a server answers as the trained model does, before a push."""
    approval: Literal["none", "required"] = "none"
    """`required`: models wait for `hubline models approve` instead of being pushed. Models that the verdict refused
    wait too, and are pushed only by an approval with `--override`."""
    keep: int | None = Field(default=None, ge=2, examples=[5])
    """Number of the newest versions that stay after a push; older ones are removed, except pinned ones. As many models
    stay that wait for approval. At least 2, so that a rollback finds a version to return to. Default: all stay."""
    card: Card = Card()
    """Texts for the model card of each pushed version."""
    kserve: InferenceService | None = None
    """The KServe InferenceService that serves pushed versions."""

    @field_validator("approval")
    @classmethod
    def _something_is_pushed(cls, approval: str, info: ValidationInfo) -> str:
        if approval == "required" and info.data.get("push") is False:
            raise ValueError("there is nothing to approve with push: false; remove one of the two")
        return approval
