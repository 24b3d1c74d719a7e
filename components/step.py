"""What a step is, as far as it can be said without TFX."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """The declaration of a step, from which its TFX component, its row in docs/caching.md and its checks follow."""

    name: str
    """The step's name in a run, in `kubeflow.steps` and in the docs."""
    executor: str
    """The import path of the executor class."""
    outputs: Mapping[str, str]
    """By key, the artifact type: a name of `tfx.types.standard_artifacts`, or an import path."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """By key, the artifact type, as for `outputs`."""
    takes_modules: bool = False
    """Whether there is also an input for each hub module and backbone (`module_channels`)."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """By execution property, its source in words for the docs; keys of the pipeline file stand in backquotes."""
    integers: tuple[str, ...] = ()
    """The properties that are integers; the others are strings."""
    optional_outputs: tuple[str, ...] = ()
    """The outputs that some pipelines go without."""
    is_cached_on_code: bool = True
    """Whether the property `code`, a digest of the executor's code, is in the cache key."""
    uses_beam: bool = False
    """Whether the executor runs Beam pipelines."""
    uses_gpu: bool = False
    """Whether the executor runs a model, so that it has a use for a GPU and a pod of its own."""
    pod_imports: tuple[str, ...] = ()
    """The packages of `SLOW_IMPORTS` that a pod of the step imports."""

    @property
    def module(self) -> str:
        """The module of the executor class."""
        return self.executor.rpartition(".")[0]


SLOW_IMPORTS = (
    "apache_beam",
    "kfp",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "tensorflow_transform",
)
"""Packages that take a second or more to import. Every pod imports TensorFlow; of these only what its step declares."""
