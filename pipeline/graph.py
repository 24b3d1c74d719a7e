"""Builds the graph of steps; no other module creates components."""

from tfx.components.schema_gen.component import SchemaGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from hubline.artifacts.pins import AnyPins, Files, Pins, PinsToInfer
from hubline.components.backbone.component import Backbone
from hubline.components.curated_schema.component import CuratedSchema
from hubline.components.dashboard.component import Dashboard
from hubline.components.data_gate.component import DataGate
from hubline.components.embedder.component import Embedder
from hubline.components.evaluator.component import Evaluator
from hubline.components.example_gen.component import ExampleGen
from hubline.components.example_validator.checks import Checks
from hubline.components.example_validator.component import ExampleValidator
from hubline.components.hub_module.component import HubModule
from hubline.components.kserve.component import KServe
from hubline.components.parsing_schema.component import ParsingSchema
from hubline.components.predictor.component import Predictor
from hubline.components.pusher.component import Pusher
from hubline.components.statistics_gen.component import StatisticsGen
from hubline.components.trainer.component import Trainer
from hubline.components.transform.component import Transform
from hubline.pipeline.config import AnyFile, InferFile, PipelineFile
from hubline.pipeline.paths import OnCluster, Places
from hubline.trainer.labels.parts import needs_pictures
from hubline.trainer.phases import Kept


def build(file: AnyFile, pins: AnyPins, places: Places | OnCluster) -> Pipeline:
    """The TFX pipeline of a pipeline file.

    Args:
        file: The pipeline file.
        pins: Pinned inputs, which become part of the steps' cache keys.
        places: Where artifacts, metadata and checkpoints are stored.
    """
    if isinstance(file, InferFile):
        assert isinstance(pins, PinsToInfer)
        steps = _inferring(file, pins, places)
    else:
        assert isinstance(pins, Pins)
        steps = _training(file, pins, places)
    if isinstance(places, OnCluster):
        return Pipeline(pipeline_name=file.name, components=steps, enable_cache=True)
    return Pipeline(
        pipeline_name=file.name,
        pipeline_root=str(places.artifacts),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(places.metadata)),
        components=steps,
        enable_cache=True,
        beam_pipeline_args=file.beam.arguments(),
    )


def _inferring(file: InferFile, pins: PinsToInfer, places: Places | OnCluster) -> list[BaseNode]:
    hub_modules = {
        name: HubModule(name, hub, file.features, pins.modules[name], asked=True) for name, hub in file.hubs.items()
    }
    example_gen, *described = describing(file, pins.files, places)
    if not isinstance(places, OnCluster):  # in sequence here, so a misfit is found before data is read
        example_gen.add_upstream_nodes(hub_modules.values())
    predictor = Predictor(
        examples=example_gen.outputs["examples"],
        modules={name: module.outputs["model"] for name, module in hub_modules.items()},
        features=file.features,
        hubs=file.hubs,
        label=file.label,
        predictions=file.predictions,
        bad_records=file.data.bad_records,
        pins=pins,
        store=str(places.store),
    )
    return [*hub_modules.values(), example_gen, *described, predictor]


def _training(file: PipelineFile, pins: Pins, places: Places | OnCluster) -> list[BaseNode]:
    hub_modules = {
        name: HubModule(name, hub, file.fed_features, pins.modules[name], file.model.tuned(name))
        for name, hub in file.hubs.items()
    }
    backbones = {
        name: Backbone(name, backbone, file.features, pins.backbones[name], file.model.tuned(name))
        for name, backbone in file.backbones.items()
    }
    tried = [*hub_modules.values(), *backbones.values()]
    modules = {name: module.outputs["model"] for name, module in (hub_modules | backbones).items()}
    in_pictures = needs_pictures(file.label, file.features)
    hubs = Kept.of(file.model, file.training, file.backbones, in_pictures).hubs(file.hubs)
    on_cluster = isinstance(places, OnCluster)
    example_gen, statistics_gen, schema_gen = describing(file, pins.files, places)
    if not on_cluster:  # in sequence here, so a misfit is found before data is read
        example_gen.add_upstream_nodes(tried)
    examples = example_gen.outputs["examples"]
    statistics = statistics_gen.outputs["statistics"]
    if file.data.data_schema and pins.data_schema:
        schema_gen = CuratedSchema(file.data.data_schema, pins.data_schema)
    checks = Checks.of(file.features, file.label, file.evaluation, file.data)
    validator = ExampleValidator(statistics, schema_gen.outputs["schema"], checks, file.data.baseline, pins.baseline)
    gate = DataGate(validator.outputs["anomalies"])
    parsing_schema = ParsingSchema(schema_gen.outputs["schema"])
    schema = parsing_schema.outputs["parsing_schema"]

    transform_step = Transform(examples, schema, file.features, file.label, pins.vocabularies, str(places.store))
    transform_step.add_upstream_node(gate)

    embedder = Embedder(
        examples=examples,
        schema=schema,
        modules={name: modules[name] for name in hubs},
        features=file.fed_features,  # changes of other features leave the vectors valid
        label=file.label,
        hubs=hubs,
        model=file.model,
        training=file.training,
        bad_records=file.data.bad_records,
        store=str(places.store),
        backbones=file.backbones,
        needs_pictures=in_pictures,
    )
    embedder.add_upstream_node(gate)  # holds back all training steps as well
    rows = embedder.outputs["rows"]

    trainer = Trainer(
        examples=examples,
        rows=rows,
        schema=schema,
        transform_graph=transform_step.outputs["transform_graph"],
        modules=modules,
        features=file.features,
        label=file.label,
        hubs=file.hubs,
        backbones=file.backbones,
        model=file.model,
        training=file.training,
        checkpoints=str(places.checkpoints),
    )
    model = trainer.outputs["model"]
    evaluator = Evaluator(examples, rows, schema, model, file.evaluation, file.label, file.features, pins.serving)
    blessing = evaluator.outputs["blessing"]
    pusher = Pusher(model, blessing, file.serving, pins.serving, must_be_blessed=on_cluster)

    data_steps: list[BaseNode] = [example_gen, statistics_gen, schema_gen, validator, gate, parsing_schema]
    model_steps: list[BaseNode] = [transform_step, embedder, trainer, evaluator, pusher]
    if file.serving.kserve:
        model_steps.append(KServe(pusher.outputs["pushed_model"], file.serving.kserve))
    if on_cluster:
        shown = {
            "examples": examples,
            "rows": rows,
            "statistics": statistics,
            "anomalies": validator.outputs["anomalies"],
            "transform_graph": transform_step.outputs["transform_graph"],
            "model_run": trainer.outputs["model_run"],
            "evaluation": evaluator.outputs["evaluation"],
            "blessing": blessing,
        }
        tried_out = {name: module.outputs["model"] for name, module in hub_modules.items()}
        model_steps.append(Dashboard(file.name, shown, tried_out, file.label.has_classes))
    return [*tried, *data_steps, *model_steps]


def describing(file: AnyFile, files: Files, places: Places | OnCluster) -> tuple[BaseNode, BaseNode, BaseNode]:
    """The first steps, which read the data and infer its schema: ExampleGen, StatisticsGen and SchemaGen."""
    example_gen = ExampleGen(files, file.data, file.features, file.label, str(places.store))
    statistics_gen = StatisticsGen(example_gen.outputs["examples"], str(places.store))
    return example_gen, statistics_gen, SchemaGen(statistics=statistics_gen.outputs["statistics"])
