"""Builds the graph of steps, without TFX; no other module creates steps."""

import json
from collections.abc import Mapping
from typing import Any

from hubline.artifacts.file_list import digest_of
from hubline.artifacts.pins import AnyPins, PinnedFiles, Pins, PinsToInfer, ServedVersion
from hubline.components import steps
from hubline.components.config.selection import Selection
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_validator.requirements import checks_of
from hubline.components.node import Node, Output, node
from hubline.components.transform.config import TransformConfig
from hubline.core.code_digest import code_digest
from hubline.pipeline.config import AnyFile, InferFile, PipelineFile
from hubline.pipeline.paths import ClusterPaths, Paths
from hubline.preprocessing.config import Features
from hubline.preprocessing.module_features import needs_statistics
from hubline.serving.check.process import MODULE as SERVER
from hubline.serving.model_card import CardOfFile
from hubline.trainer.config.export import Export
from hubline.trainer.labels.parts import needs_pictures
from hubline.trainer.phases import kept_for


def graph(file: AnyFile, pins: AnyPins, places: Paths | ClusterPaths) -> list[Node]:
    """The steps of a pipeline file, each after those that it reads or waits for.

    Args:
        file: The pipeline file.
        pins: Pinned inputs, which become part of the steps' cache keys.
        places: Where artifacts, metadata and checkpoints are stored.
    """
    if isinstance(file, InferFile):
        assert isinstance(pins, PinsToInfer)
        return _inferring(file, pins, places)
    assert isinstance(pins, Pins)
    return _training(file, pins, places)


def unpinned(file: AnyFile) -> AnyPins:
    """Placeholder for pinned inputs, sufficient to determine which steps there are."""
    files, modules = PinnedFiles(by_split={}), dict.fromkeys(file.hubs, "")
    if isinstance(file, InferFile):
        asked = ServedVersion(path="", digest="") if file.model else None
        return PinsToInfer(files=files, modules=modules, model=asked, labels=None, pushed=None)
    return Pins(
        files=files,
        data_schema="?" if file.data.data_schema else None,
        baseline=None,
        vocabularies={},
        modules=modules,
        backbones=dict.fromkeys(file.backbones, ""),
        serving=None,
    )


def _inferring(file: InferFile, pins: PinsToInfer, places: Paths | ClusterPaths) -> list[Node]:
    hub_modules = {name: _hub_module(name, file, pins) for name in file.hubs}
    example_gen, *described = describing(file, pins.files, places)
    if not isinstance(places, ClusterPaths):  # in sequence here, so a misfit is found before data is read
        example_gen.wait_for(*hub_modules.values())
    predictor = node(
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


def _training(file: PipelineFile, pins: Pins, places: Paths | ClusterPaths) -> list[Node]:
    on_cluster, store = isinstance(places, ClusterPaths), str(places.store)
    hub_modules = {name: _hub_module(name, file, pins) for name in file.hubs}
    backbones = {name: _backbone(name, file, pins) for name in file.backbones}
    tried = [*hub_modules.values(), *backbones.values()]
    modules = {name: module.outputs["model"] for name, module in (hub_modules | backbones).items()}

    example_gen, statistics_gen, schema_gen = describing(file, pins.files, places)
    if not on_cluster:  # in sequence here, so a misfit is found before data is read
        example_gen.wait_for(*tried)
    examples = example_gen.outputs["examples"]
    statistics = statistics_gen.outputs["statistics"]
    if file.data.data_schema and pins.data_schema:
        schema_gen = node(steps.CURATED_SCHEMA, schema_file=file.data.data_schema, digest=pins.data_schema)
    validator = node(
        steps.EXAMPLE_VALIDATOR,
        statistics=statistics,
        schema=schema_gen.outputs["schema"],
        checks=checks_of(file.features, file.label, file.evaluation, file.data, file.training.sample_weight),
        baseline=file.data.baseline,
        baseline_digest=pins.baseline,
    )
    gate = node(steps.DATA_GATE, anomalies=validator.outputs["anomalies"])
    parsing_schema = node(steps.PARSING_SCHEMA, schema=schema_gen.outputs["schema"])
    schema = parsing_schema.outputs["parsing_schema"]

    transform = node(
        steps.TRANSFORM,
        examples=examples,
        schema=schema,
        config=TransformConfig(features=file.features, label=file.label),
        vocabularies=pins.vocabularies,
        store=store,
    )
    transform.wait_for(gate)

    kept = kept_for(file.model, file.training, file.backbones, needs_pictures(file.label, file.features))
    hubs = kept.hubs(file.hubs)
    embedder = node(
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
    embedder.wait_for(gate)  # holds back all training steps as well
    rows = embedder.outputs["rows"]

    training: dict[str, Any] = {
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
    tuner = node(steps.TUNER, **training, tune=file.tune) if file.tune else None
    best = tuner.outputs["best_hyperparameters"] if tuner else None
    trainer = node(steps.TRAINER, **training, hyperparameters=best)
    exporter = _exporter(file, trainer.outputs["model"], examples, rows, modules)
    model = trainer.outputs["model"] if exporter is None else exporter.outputs["exported_model"]
    evaluator = node(
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
    checker = None
    if file.serving.check.enabled and file.serving.push:
        checker = node(
            steps.SERVING_CHECK,
            model=model,
            model_run=trainer.outputs["model_run"],
            check=file.serving.check,
            server=code_digest(SERVER),
        )
    serving_check = checker.outputs["serving_check"] if checker else None
    pusher = node(
        steps.PUSHER,
        model=model,
        blessing=blessing,
        serving_check=serving_check,
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

    data_steps: list[Node] = [example_gen, statistics_gen, schema_gen, validator, gate, parsing_schema]
    model_steps: list[Node] = [
        transform,
        embedder,
        *([tuner] if tuner else []),
        trainer,
        *([exporter] if exporter else []),
        evaluator,
        *([checker] if checker else []),
        pusher,
    ]
    if file.serving.kserve:
        service = file.serving.kserve
        model_steps.append(node(steps.KSERVE, pushed_model=pusher.outputs["pushed_model"], service=service))
    if on_cluster:
        dashboard = node(
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
            serving_check=serving_check,
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
            "serving": {"check", "keep", "kserve"},
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
    file: PipelineFile, model: Output, examples: Output, rows: Output, modules: Mapping[str, Output]
) -> Node | None:
    """Exporter, if the file asks for other forms of the model or publishes a module."""
    published = file.export.publish
    if file.export == Export():
        return None
    return node(
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


def _hub_module(name: str, file: AnyFile, pins: AnyPins) -> Node:
    """HubModule for an entry of `hubs`; it gets the features that feed the module, and no others."""
    features, tuned = (
        (file.features, None) if isinstance(file, InferFile) else (file.fed_features, file.model.tuned(name))
    )
    return node(
        steps.HUB_MODULE,
        instance=name,
        name=name,
        hub=file.hubs[name],
        features=_feeding(file.hubs[name].inputs, features),
        tuned=tuned,
        infers="yes" if isinstance(file, InferFile) else "",
        fingerprint=pins.modules[name],
    )


def _backbone(name: str, file: PipelineFile, pins: Pins) -> Node:
    """Backbone for an entry of `backbones`; it gets the features that feed the backbone, and no others."""
    return node(
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


def describing(file: AnyFile, files: PinnedFiles, places: Paths | ClusterPaths) -> tuple[Node, Node, Node]:
    """The first steps, which read the data and infer its schema: ExampleGen, StatisticsGen and SchemaGen.

    ExampleGen finds the list of files where `file_list.keep` put it.
    """
    store = str(places.store)
    split = None if isinstance(file, InferFile) or not isinstance(file.data.split, HashSplit) else file.data.split
    selection = Selection() if isinstance(file, InferFile) else file.data.selection
    example_gen = node(
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
    statistics_gen = node(steps.STATISTICS_GEN, examples=example_gen.outputs["examples"], store=store)
    statistics = statistics_gen.outputs["statistics"]
    schema_gen = node(steps.SCHEMA_GEN, statistics=statistics, infer_feature_shape=1, exclude_splits="[]")
    return example_gen, statistics_gen, schema_gen
