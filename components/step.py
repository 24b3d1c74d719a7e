"""Declaration of a step, without TFX."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """A step's declaration, from which its TFX component, its row in docs/caching.md and its checks are derived."""

    name: str
    """Name in runs, in `kubeflow.steps` and in the docs."""
    executor: str
    """Import path of the executor class."""
    outputs: Mapping[str, str]
    """Artifact type by key: a name in `tfx.types.standard_artifacts`, or an import path."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Artifact type by key, as for `outputs`."""
    optional_inputs: tuple[str, ...] = ()
    """Inputs that some pipelines omit."""
    takes_modules: bool = False
    """Whether the step also has an input for each hub module and backbone (`module_channels`)."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """Source of each execution property in words, for the docs; keys of the pipeline file are in backquotes."""
    integers: tuple[str, ...] = ()
    """Properties that are integers; the others are strings."""
    optional_outputs: tuple[str, ...] = ()
    """Outputs that some pipelines omit."""
    is_cached_on_code: bool = True
    """Whether the cache key includes the property `code`, a digest of the executor's code."""
    uses_beam: bool = False
    """Whether the executor runs Beam pipelines."""
    uses_gpu: bool = False
    """Whether the executor runs a model, so that it benefits from a GPU and from a pod of its own."""
    is_spread: bool = False
    """Whether the executor has a `stage`, whose shards several pods can share."""
    placed_like: str | None = None
    """Step whose settings in `kubeflow.steps` this one has, too, unless it has its own."""
    pod_imports: tuple[str, ...] = ()
    """Packages of `SLOW_IMPORTS` that the step's pod imports."""

    @property
    def module(self) -> str:
        """Module of the executor class."""
        return self.executor.rpartition(".")[0]


SLOW_IMPORTS = (
    "apache_beam",
    "kfp",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tensorflow_transform",
)
"""Packages that take a second or more to import. Every pod imports TensorFlow, but only those of these that its step
declares."""
