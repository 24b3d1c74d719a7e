"""Builds the graph of steps; no other module creates components."""

import json
from collections.abc import Mapping

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.types import BaseChannel

from hubline.artifacts.file_list import digest_of
from hubline.artifacts.pins import AnyPins, PinnedFiles, Pins, PinsToInfer
from hubline.components import steps
from hubline.components.component import component
from hubline.components.config.selection import Selection
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_validator.requirements import checks_of
from hubline.components.transform.config import TransformConfig
from hubline.core.code_digest import code_digest
from hubline.pipeline.config import AnyFile, InferFile, PipelineFile
from hubline.pipeline.paths import ClusterPaths, Paths
from hubline.preprocessing.config import Features
from hubline.preprocessing.module_features import needs_statistics
from hubline.serving.model_card import CardOfFile
from hubline.trainer.config.export import Export
from hubline.trainer.labels.parts import needs_pictures
from hubline.trainer.phases import kept_for


def build(file: AnyFile, pins: AnyPins, places: Paths | ClusterPaths) -> Pipeline:
    """The TFX pipeline of a pipeline file.

    Args:
        file: The pipeline file.
        pins: Pinned inputs, which become part of the steps' cache keys.
        places: Where artifacts, metadata and checkpoints are stored.
    """
    if isinstance(file, InferFile):
        assert isinstance(pins, PinsToInfer)
        nodes = _inferring(file, pins, places)
    else:
        assert isinstance(pins, Pins)
        nodes = _training(file, pins, places)
    if isinstance(places, ClusterPaths):
        return Pipeline(pipeline_name=file.name, components=nodes, enable_cache=True)
    return Pipeline(
        pipeline_name=file.name,
        pipeline_root=str(places.artifacts),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(places.metadata)),
        components=nodes,
        enable_cache=True,
    )


def _inferring(file: InferFile, pins: PinsToInfer, places: Paths | ClusterPaths) -> list[BaseNode]:
    hub_modules = {name: _hub_module(name, file, pins) for name in file.hubs}
    example_gen, *described = describing(file, pins.files, places)
    if not isinstance(places, ClusterPaths):  # in sequence here, so a misfit is found before data is read
        example_gen.add_upstream_nodes(hub_modules.values())
    predictor = component(
        steps.PREDICTOR,
        examples=example_gen.outputs["examples"],
        modules={name: module.outputs["model"] for name, module in hub_modules.items()},
        features=file.features,
        hubs=file.hubs,
        model=pins.model,
        model_config=file.model,
        label=file.label,
        written=file.predictions,
        labels=pins.labels,
        bad_records=file.data.bad_records,
        pushed=pins.pushed,
        store=str(places.store),
    )
    return [*hub_modules.values(), example_gen, *described, predictor]


def _training(file: PipelineFile, pins: Pins, places: Paths | ClusterPaths) -> list[BaseNode]:
    on_cluster, store = isinstance(places, ClusterPaths), str(places.store)
    hub_modules = {name: _hub_module(name, file, pins) for name in file.hubs}
    backbones = {name: _backbone(name, file, pins) for name in file.backbones}
    tried = [*hub_modules.values(), *backbones.values()]
    modules = {name: module.outputs["model"] for name, module in (hub_modules | backbones).items()}

    example_gen, statistics_gen, schema_gen = describing(file, pins.files, places)
    if not on_cluster:  # in sequence here, so a misfit is found before data is read
        example_gen.add_upstream_nodes(tried)
    examples = example_gen.outputs["examples"]
    statistics = statistics_gen.outputs["statistics"]
    if file.data.data_schema and pins.data_schema:
        schema_gen = component(steps.CURATED_SCHEMA, schema_file=file.data.data_schema, digest=pins.data_schema)
    validator = component(
        steps.EXAMPLE_VALIDATOR,
        statistics=statistics,
        schema=schema_gen.outputs["schema"],
        checks=checks_of(file.features, file.label, file.evaluation, file.data, file.training.sample_weight),
        baseline=file.data.baseline,
        baseline_digest=pins.baseline,
    )
    gate = component(steps.DATA_GATE, anomalies=validator.outputs["anomalies"])
    parsing_schema = component(steps.PARSING_SCHEMA, schema=schema_gen.outputs["schema"])
    schema = parsing_schema.outputs["parsing_schema"]

    transform = component(
        steps.TRANSFORM,
        examples=examples,
        schema=schema,
        config=TransformConfig(features=file.features, label=file.label),
        vocabularies=pins.vocabularies,
        store=store,
    )
    transform.add_upstream_node(gate)

    kept = kept_for(file.model, file.training, file.backbones, needs_pictures(file.label, file.features))
    hubs = kept.hubs(file.hubs)
    embedder = component(
        steps.EMBEDDER,
        examples=examples,
        schema=schema,
        transform_graph=transform.outputs["transform_graph"] if needs_statistics(file.fed_features) else None,
        modules={name: modules[name] for name in hubs},
        features=file.fed_features,  # changes of other features leave the vectors valid
        label=file.label if file.label.masks else None,
        hubs=hubs,
        kept=kept,
        bad_records=file.data.bad_records,
        store=store,
    )
    embedder.add_upstream_node(gate)  # holds back all training steps as well
    rows = embedder.outputs["rows"]

    training = {
        "examples": examples,
        "rows": rows,
        "schema": schema,
        "transform_graph": transform.outputs["transform_graph"],
        "modules": modules,
        "features": file.features,
        "label": file.label,
        "hubs": file.hubs,
        "backbones": file.backbones,
        "model_config": file.model,
        "training": file.training,
        "warm_start": pins.warm_start,
        "loss_source": pins.loss,
        "checkpoints": str(places.checkpoints),
    }
    tuner = component(steps.TUNER, **training, tune=file.tune) if file.tune else None
    best = tuner.outputs["best_hyperparameters"] if tuner else None
    trainer = component(steps.TRAINER, **training, hyperparameters=best)
    exporter = _exporter(file, trainer.outputs["model"], examples, rows, modules)
    model = trainer.outputs["model"] if exporter is None else exporter.outputs["exported_model"]
    evaluator = component(
        steps.EVALUATOR,
        examples=examples,
        rows=rows,
        schema=schema,
        model=model,
        evaluation_config=file.evaluation,
        label=file.label,
        features=file.features if file.label.masks else {},
        serving=pins.serving,
        store=store,
    )
    blessing = evaluator.outputs["blessing"]
    pusher = component(
        steps.PUSHER,
        model=model,
        blessing=blessing,
        module=exporter.outputs["module"] if exporter is not None and file.export.publish else None,
        destination=file.serving.destination,
        publish_to=file.export.publish.to if file.export.publish else None,
        push=int(file.serving.push),
        approval=file.serving.approval,
        keep=file.serving.keep or 0,
        must_be_blessed=int(on_cluster),
        serving=pins.serving,
        examples=examples,
        modules=modules,
        card=_card(file, pins),
    )

    data_steps: list[BaseNode] = [example_gen, statistics_gen, schema_gen, validator, gate, parsing_schema]
    model_steps: list[BaseNode] = [
        transform,
        embedder,
        *([tuner] if tuner else []),
        trainer,
        *([exporter] if exporter else []),
        evaluator,
        pusher,
    ]
    if file.serving.kserve:
        service = file.serving.kserve
        model_steps.append(component(steps.KSERVE, pushed_model=pusher.outputs["pushed_model"], service=service))
    if on_cluster:
        dashboard = component(
            steps.DASHBOARD,
            name=file.name,
            examples=examples,
            rows=rows,
            statistics=statistics,
            anomalies=validator.outputs["anomalies"],
            transform_graph=transform.outputs["transform_graph"],
            tuner_results=tuner.outputs["tuner_results"] if tuner else None,
            model_run=trainer.outputs["model_run"],
            evaluation=evaluator.outputs["evaluation"],
            blessing=blessing,
            modules={name: module.outputs["model"] for name, module in hub_modules.items()},
            without=() if file.label.has_classes else ("classes",),
        )
        model_steps.append(dashboard)
    return [*tried, *data_steps, *model_steps]


def _card(file: PipelineFile, pins: Pins) -> CardOfFile:
    """What the file and its pinned inputs say in the model card, without keys that change no model: Pusher, which these
    would run again, has nothing to do with them."""
    text = file.model_dump_json(
        by_alias=True,
        exclude_defaults=True,
        exclude={
            "beam": True,
            "kubeflow": True,
            "serving": {"kserve", "keep"},
            "data": {"baseline", "drift", "window"},  # of a window, its spans are in the card
        },
    )
    return CardOfFile(
        pipeline=file.name,
        intended_use=file.serving.card.intended_use,
        owner=file.serving.card.owner,
        data=file.data.patterns,
        spans=pins.files.spans or (),
        file=json.loads(text),
        code=code_digest(steps.TRAINER.module),
    )


def _exporter(
    file: PipelineFile, model: BaseChannel, examples: BaseChannel, rows: BaseChannel, modules: Mapping[str, BaseChannel]
) -> BaseNode | None:
    """Exporter, if the file asks for other forms of the model or publishes a module."""
    published = file.export.publish
    if file.export == Export():
        return None
    return component(
        steps.EXPORTER,
        without=() if published else ("module",),
        examples=examples,
        rows=rows,
        model=model,
        modules={published.module: modules[published.module]} if published else {},
        export=file.export.model_copy(update={"publish": None}),
        published=published.module if published else None,
        pipeline=file.name if published else None,
        data=file.data.patterns if published else None,
    )


def _hub_module(name: str, file: AnyFile, pins: AnyPins) -> BaseNode:
    """HubModule for an entry of `hubs`; it gets the features that feed the module, and no others."""
    features, tuned = (
        (file.features, None) if isinstance(file, InferFile) else (file.fed_features, file.model.tuned(name))
    )
    return component(
        steps.HUB_MODULE,
        instance=name,
        name=name,
        hub=file.hubs[name],
        features=_feeding(file.hubs[name].inputs, features),
        tuned=tuned,
        infers="yes" if isinstance(file, InferFile) else "",
        fingerprint=pins.modules[name],
    )


def _backbone(name: str, file: PipelineFile, pins: Pins) -> BaseNode:
    """Backbone for an entry of `backbones`; it gets the features that feed the backbone, and no others."""
    return component(
        steps.BACKBONE,
        instance=name,
        name=name,
        backbone=file.backbones[name],
        features=_feeding(file.backbones[name].inputs, file.features),
        tuned=file.model.tuned(name),
        fingerprint=pins.backbones[name],
    )


def _feeding(inputs: Mapping[str, str], features: Features) -> Features:
    return {feature: features[feature] for feature in inputs.values()}


def describing(file: AnyFile, files: PinnedFiles, places: Paths | ClusterPaths) -> tuple[BaseNode, BaseNode, BaseNode]:
    """The first steps, which read the data and infer its schema: ExampleGen, StatisticsGen and SchemaGen.

    ExampleGen finds the list of files where `file_list.keep` put it.
    """
    store = str(places.store)
    split = None if isinstance(file, InferFile) or not isinstance(file.data.split, HashSplit) else file.data.split
    selection = Selection() if isinstance(file, InferFile) else file.data.selection
    example_gen = component(
        steps.EXAMPLE_GEN,
        files=digest_of(files),
        pins=str(places.pins),
        split=split,
        selection=selection,
        contract=contract_of(
            file.features,
            file.label,
            file.training.sample_weight if file.training else None,
            split,
        ),
        bad_records=file.data.bad_records,
        store=store,
    )
    statistics_gen = component(steps.STATISTICS_GEN, examples=example_gen.outputs["examples"], store=store)
    statistics = statistics_gen.outputs["statistics"]
    schema_gen = component(steps.SCHEMA_GEN, statistics=statistics, infer_feature_shape=1, exclude_splits="[]")
    return example_gen, statistics_gen, schema_gen
