"""Declarations of all steps. `pipeline/graph.py` connects them; docs/add-a-step.md explains how to add one."""

from hubline.components.step import Step

_STORE = "the folder of kept shards"
_SERVING = "the serving version and its digest"
_TFX_EXECUTORS = ("apache_beam", "tensorflow_data_validation", "tensorflow_model_analysis")
_DASHBOARD = "hubline.components.dashboard.artifacts"
_TRAINING = {"examples": "Examples", "rows": "Examples", "schema": "Schema", "transform_graph": "TransformGraph"}

HUB_MODULE = Step(
    name="HubModule",
    executor="hubline.components.hub_module.executor.Executor",
    outputs={"model": "Model"},
    properties={
        "name": "its name",
        "hub": "its entry in `hubs`",
        "features": "the `features` that feed it",
        "tuned": "the variables that `model.fine_tune` selects",
        "infers": "`task`",
        "fingerprint": "the module's fingerprint",
    },
    pod_imports=("tensorflow_transform",),
)
BACKBONE = Step(
    name="Backbone",
    executor="hubline.components.backbone.executor.Executor",
    outputs={"model": "Model"},
    properties={
        "name": "its name",
        "backbone": "its entry in `backbones`",
        "features": "the `features` that feed it",
        "tuned": "the variables that `model.fine_tune` selects",
        "fingerprint": "the SHA-256 of its weights or of your function's source",
    },
    pod_imports=("tensorflow_transform",),
)
EXAMPLE_GEN = Step(
    name="ExampleGen",
    executor="hubline.components.example_gen.executor.Executor",
    outputs={"examples": "Examples"},
    properties={
        "files": "the digest of the list of data files with sizes and modification times",
        "pins": "the folder of such lists",
        "split": "the shares of `data.split`",
        "selection": "`data.where`, `data.take`",
        "contract": "the columns and classes that records must have (`features`, `label`, `training.sample_weight`, "
        "the columns of `data.split`)",
        "bad_records": "`data.bad_records`",
        "store": _STORE,
    },
    uses_beam=True,
    pod_imports=("apache_beam",),
)
STATISTICS_GEN = Step(
    name="StatisticsGen",
    executor="hubline.components.statistics_gen.executor.Executor",
    inputs={"examples": "Examples"},
    outputs={"statistics": "ExampleStatistics"},
    properties={"store": _STORE},
    uses_beam=True,
    is_spread=True,
    pod_imports=("apache_beam", "tensorflow_data_validation"),
)
SCHEMA_GEN = Step(
    name="SchemaGen",
    executor="hubline.components.adapters.tfx_executors.SchemaGenExecutor",
    inputs={"statistics": "ExampleStatistics"},
    outputs={"schema": "Schema"},
    properties={"infer_feature_shape": "TFX's defaults", "exclude_splits": "TFX's defaults"},
    integers=("infer_feature_shape",),
    is_cached_on_code=False,
    pod_imports=_TFX_EXECUTORS,
)
CURATED_SCHEMA = Step(  # TFX's ImportSchemaGen caches on the path alone, so the file's digest is added
    name="SchemaGen",
    executor="hubline.components.adapters.tfx_executors.ImportSchemaGenExecutor",
    outputs={"schema": "Schema"},
    properties={"schema_file": "`data.schema`", "digest": "the SHA-256 of its content"},
    is_cached_on_code=False,
    pod_imports=_TFX_EXECUTORS,
)
EXAMPLE_VALIDATOR = Step(
    name="ExampleValidator",
    executor="hubline.components.example_validator.executor.Executor",
    inputs={"statistics": "ExampleStatistics", "schema": "Schema"},
    outputs={"anomalies": "ExampleAnomalies"},
    properties={
        "checks": "the source columns of `features`, `label` and `training.sample_weight` with the types they accept, "
        "image columns, the columns of `evaluation.slices`, `data.drift`",
        "baseline": "`data.baseline`",
        "baseline_digest": "the SHA-256 of its content",
    },
    pod_imports=_TFX_EXECUTORS,
)
DATA_GATE = Step(
    name="DataGate",
    executor="hubline.components.data_gate.executor.Executor",
    inputs={"anomalies": "ExampleAnomalies"},
    outputs={},
)
PARSING_SCHEMA = Step(  # separate, so that training is cached on the schema only, and not on DataGate's other inputs
    name="ParsingSchema",
    executor="hubline.components.parsing_schema.executor.Executor",
    inputs={"schema": "Schema"},
    outputs={"parsing_schema": "Schema"},
)
TRANSFORM = Step(
    name="Transform",
    executor="hubline.components.transform.executor.Executor",
    inputs={"examples": "Examples", "schema": "Schema"},
    outputs={"transform_graph": "TransformGraph"},
    properties={
        "config": "`features`, `label`",
        "vocabularies": "the SHA-256 of vocabulary files",
        "store": _STORE,
    },
    uses_beam=True,
    is_spread=True,
    pod_imports=("apache_beam", "tensorflow_transform"),
)
EMBEDDER = Step(
    name="Embedder",
    executor="hubline.components.embedder.executor.Executor",
    inputs={"examples": "Examples", "schema": "Schema", "transform_graph": "TransformGraph"},
    optional_inputs=("transform_graph",),  # for numbers that are normalized by statistics
    takes_modules=True,
    outputs={"rows": "Examples"},
    properties={
        "features": "the `features` that feed modules",
        "label": "a `label` with masks",
        "hubs": "the `hubs` that stay frozen or augment",
        "kept": "the cached views (`training.cache_views`, `training.augment`)",
        "bad_records": "`data.bad_records`",
        "store": _STORE,
    },
    uses_beam=True,
    uses_gpu=True,
    is_spread=True,
    pod_imports=("apache_beam", "tensorflow_transform"),
)
_OF_TRAINING = {
    "features": "`features`",
    "label": "`label`",
    "hubs": "`hubs`",
    "backbones": "`backbones`",
    "model_config": "`model`",
    "training": "`training`",
    "warm_start": "the checkpoint of `training.warm_start` and its digest",
    "loss_source": "the SHA-256 of the source of your own loss",
}
"""Properties of steps that train."""

TUNER = Step(
    name="Tuner",
    executor="hubline.components.tuner.executor.Executor",
    inputs=_TRAINING,
    takes_modules=True,
    outputs={"best_hyperparameters": "HyperParameters", "tuner_results": "TunerResults"},
    properties=_OF_TRAINING
    | {
        "tune": "`tune`",
        "checkpoints": "the folder of checkpoints",
    },
    uses_gpu=True,
    placed_like="Trainer",
    pod_imports=("tensorflow_transform",),
)
TRAINER = Step(
    name="Trainer",
    executor="hubline.components.trainer.executor.Executor",
    inputs=_TRAINING | {"hyperparameters": "HyperParameters"},
    optional_inputs=("hyperparameters",),  # the values of the best trial, with `tune`
    takes_modules=True,
    outputs={"model": "Model", "model_run": "ModelRun"},
    properties=_OF_TRAINING
    | {
        "checkpoints": "the folder of checkpoints",
    },
    uses_gpu=True,
    pod_imports=("tensorflow_transform",),
)
EXPORTER = Step(  # separate, so that another form of a model needs no training
    name="Exporter",
    executor="hubline.components.exporter.executor.Executor",
    inputs={"examples": "Examples", "rows": "Examples", "model": "Model"},
    takes_modules=True,
    outputs={"exported_model": "Model", "module": "Model"},
    optional_outputs=("module",),
    properties={
        "export": "the forms of `export`",
        "published": "the module of `export.publish`",
        "pipeline": "with `export.publish`, `name`",
        "data": "with `export.publish`, the file patterns of `data`",
    },
    pod_imports=("tensorflow_transform",),
)
EVALUATOR = Step(
    name="Evaluator",
    executor="hubline.components.evaluator.executor.Executor",
    inputs={"examples": "Examples", "rows": "Examples", "schema": "Schema", "model": "Model"},
    outputs={"evaluation": "ModelEvaluation", "blessing": "ModelBlessing"},
    properties={
        "evaluation_config": "`evaluation`",
        "label": "`label`",
        "features": "for a `label` with masks, `features`",
        "serving": _SERVING,
        "store": _STORE,
    },
    uses_beam=True,
    uses_gpu=True,
    is_spread=True,
    pod_imports=("apache_beam", "tensorflow_model_analysis", "tensorflow_transform"),
)
SERVING_CHECK = Step(
    name="ServingCheck",
    executor="hubline.components.serving_check.executor.Executor",
    inputs={"model": "Model", "model_run": "ModelRun"},
    outputs={"serving_check": "InfraBlessing"},
    properties={"check": "`serving.check`", "server": "the server's code"},
)
PUSHER = Step(
    name="Pusher",
    executor="hubline.components.pusher.executor.Executor",
    inputs={
        "model": "Model",
        "blessing": "ModelBlessing",
        "serving_check": "InfraBlessing",
        "module": "Model",
        "examples": "Examples",
    },
    optional_inputs=("serving_check", "module"),
    takes_modules=True,
    outputs={"pushed_model": "PushedModel", "outcome": f"{_DASHBOARD}.Markdown"},
    properties={
        "destination": "`serving.destination`",
        "publish_to": "`export.publish.to`",
        "push": "`serving.push`",
        "approval": "`serving.approval`",
        "keep": "`serving.keep`",
        "must_be_blessed": "whether the run is on a cluster",
        "serving": _SERVING,
        "card": "the model card: the file without `beam`, `kubeflow`, `serving.check`, `serving.keep`, "
        "`serving.kserve`, `data.baseline`, `data.drift`, `data.window`; the spans; the Trainer's code",
    },
    integers=("push", "keep", "must_be_blessed"),
)
KSERVE = Step(
    name="KServe",
    executor="hubline.components.kserve.executor.Executor",
    inputs={"pushed_model": "PushedModel"},
    outputs={"inference_service": "PushedModel"},
    properties={"service": "`serving.kserve`"},
)
DASHBOARD = Step(
    name="Dashboard",
    executor="hubline.components.dashboard.executor.Executor",
    inputs={
        "examples": "Examples",
        "rows": "Examples",
        "statistics": "ExampleStatistics",
        "anomalies": "ExampleAnomalies",
        "transform_graph": "TransformGraph",
        "tuner_results": "TunerResults",
        "model_run": "ModelRun",
        "evaluation": "ModelEvaluation",
        "blessing": "ModelBlessing",
        "serving_check": "InfraBlessing",
    },
    optional_inputs=("tuner_results", "serving_check"),
    takes_modules=True,
    outputs={
        "metrics": f"{_DASHBOARD}.Metrics",
        "classes": f"{_DASHBOARD}.ClassificationMetrics",
        "decision": f"{_DASHBOARD}.Markdown",
        "report": f"{_DASHBOARD}.Html",
    },
    optional_outputs=("classes",),
    properties={"name": "`name`"},
    pod_imports=("tensorflow_transform",),
)
PREDICTOR = Step(
    name="Predictor",
    executor="hubline.components.predictor.executor.Executor",
    inputs={"examples": "Examples"},
    takes_modules=True,
    outputs={"predictions": "InferenceResult", "metrics": f"{_DASHBOARD}.Metrics"},
    properties={
        "features": "`features`",
        "hubs": "`hubs`",
        "model": "the version of `model` and its digest",
        "model_config": "`model`",
        "label": "`label`",
        "written": "`predictions`",
        "labels": "the SHA-256 of the labels file",
        "bad_records": "`data.bad_records`",
        "pushed": "the newest version of the predictions and its digest",
        "store": _STORE,
    },
    uses_beam=True,
    uses_gpu=True,
    is_spread=True,
    pod_imports=("apache_beam", "tensorflow_transform"),
)

STEPS = (
    HUB_MODULE,
    BACKBONE,
    EXAMPLE_GEN,
    STATISTICS_GEN,
    SCHEMA_GEN,
    CURATED_SCHEMA,
    EXAMPLE_VALIDATOR,
    DATA_GATE,
    PARSING_SCHEMA,
    TRANSFORM,
    EMBEDDER,
    TUNER,
    TRAINER,
    EXPORTER,
    EVALUATOR,
    SERVING_CHECK,
    PUSHER,
    KSERVE,
    DASHBOARD,
    PREDICTOR,
)
"""All steps, in the order of the graph."""

NAMES = tuple(dict.fromkeys(step.name for step in STEPS))
"""Names of the steps. HubModule and Backbone occur once for each module and backbone."""

PLACED_LIKE = {step.name: step.placed_like for step in STEPS if step.placed_like}
"""Steps with the placement of another one, by name."""

ON_GPU = tuple(step.name for step in STEPS if step.uses_gpu)
"""Names of the steps that benefit from a GPU."""

SPREAD = tuple(step.name for step in STEPS if step.is_spread)
"""Names of the steps whose shards several pods can share."""
