"""Looks at local hub modules, by their protos."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from hubline.components.hub_module.handle import digest, look_for, mirrored, read_saved_model
from hubline.components.hub_module.recognise import check_whole
from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.config_errors import PlacedError
from hubline.core.digest import check_digest
from hubline.core.errors import UserError
from hubline.pipeline.looks.look import fault_at
from hubline.preprocessing.config import Features
from hubline.trainer.config.export import Export
from hubline.trainer.config.hubs import Hub, Hubs, fed_hubs
from hubline.trainer.config.model import Model, VariableSelection
from hubline.trainer.config.training import Training
from hubline.trainer.module_fit import check_fits, fitting_function

if TYPE_CHECKING:
    from hubline.trainer.module import Module
    from hubline.trainer.saved_model import SavedModel


def modules_exist(hubs: Hubs) -> Iterator[PlacedError]:
    for name, hub in _local(hubs).items():
        yield from fault_at(("hubs", name, "sha256" if hub.sha256 else "handle"), partial(_look_for_module, hub))
        yield from fault_at(("hubs", name, "handle"), partial(_look_at_operations, hub))


def modules_take_the_features(hubs: Hubs, features: Features) -> Iterator[PlacedError]:
    for name, hub in _local(fed_hubs(hubs)).items():
        if set(hub.inputs.values()) <= features.keys():
            yield from fault_at(("hubs", name), partial(_look_at_interface, hub, features, check_fits))


def modules_can_be_asked(hubs: Hubs, features: Features) -> Iterator[PlacedError]:
    for name, hub in _local(fed_hubs(hubs)).items():
        if set(hub.inputs.values()) <= features.keys():
            yield from fault_at(("hubs", name), partial(_look_at_interface, hub, features, fitting_function))


def modules_can_be_trained(hubs: Hubs, model: Model, training: Training) -> Iterator[PlacedError]:
    several = (training.devices.count or 1) * training.workers > 1
    for name, hub in _local(hubs).items():
        tuned = model.tuned(name)
        if tuned is not None:
            key = ("variables",) if tuned.variables else ("last",) if tuned.last else ()
            location = ("model", "fine_tune", name, *key)
            yield from fault_at(location, partial(_look_at_variables, hub, tuned, several))


def modules_can_be_frozen(hubs: Hubs, export: Export) -> Iterator[PlacedError]:
    for hub in _local(hubs).values() if export.frozen_graph else ():
        yield from fault_at(("export", "frozen_graph"), partial(_look_for_tables, hub))


def _local(hubs: Hubs) -> Hubs:
    return {name: hub for name, hub in hubs.items() if not is_remote(mirrored(hub.handle))}


def _look_for_module(hub: Hub) -> None:
    place = mirrored(hub.handle)
    look_for(place)
    if hub.sha256 is not None:
        check_digest(hub.handle, digest(place), hub.sha256)


def _look_at_operations(hub: Hub) -> None:
    # Imported here, as below, because not every pipeline has a module.
    from hubline.trainer.operations import check
    from hubline.trainer.reaching_operations import refuse_reaching
    from hubline.trainer.saved_model import SavedModel

    if not _is_there(hub):
        return
    place = mirrored(hub.handle)
    saved = SavedModel.parse(read_saved_model(place), hub.handle)
    if storage.is_folder(place):
        check_whole(hub.handle, place, bool(saved.variables))
    try:
        check(saved.operations)
        refuse_reaching(saved, hub.allow_operations)
    except UserError as error:
        raise UserError(f"{hub.handle}: {error}") from None


def _look_at_interface(hub: Hub, features: Features, look: Callable[["Module", Hub, Features], object]) -> None:
    """Checks that a module can be fed from the features and, if it is trained with a head, that its output suits it."""
    from hubline.trainer.saved_model_interface import RareInterfaceError, interface_of

    saved = _module_of(hub)
    if saved is None:
        return
    try:
        module = interface_of(saved)
    except RareInterfaceError:  # the first step of a run reads it
        return
    try:
        look(module, hub, features)
    except UserError as error:
        raise UserError(f"{hub.handle}: {error}") from None


def _look_for_tables(hub: Hub) -> None:
    """Checks that a module can be part of a frozen graph."""
    saved = _module_of(hub)
    if saved is None:
        return
    if saved.format == "TF1" and any("HashTable" in operation for operation in saved.operations):
        raise UserError(f"{hub.handle}: a TF1 module with tables of its own can't be frozen; remove frozen_graph")


def _look_at_variables(hub: Hub, tuned: VariableSelection, on_several: bool) -> None:
    from hubline.trainer.saved_model import to_train
    from hubline.trainer.tf1.limits import ON_ONE_DEVICE, check_module

    saved = _module_of(hub)
    if saved is None:
        return
    to_train(saved.variables, tuned)
    if saved.format == "TF1":
        if on_several:
            raise UserError(ON_ONE_DEVICE)
        check_module(saved.graph, saved.training_graph, hub.signature, tuned.training_mode)


def _module_of(hub: Hub) -> "SavedModel | None":
    """The module; None if it doesn't exist or is no SavedModel, which has an error of its own."""
    from hubline.trainer.saved_model import SavedModel

    if not _is_there(hub):
        return None
    try:
        return SavedModel.parse(read_saved_model(mirrored(hub.handle)), hub.handle)
    except UserError:
        return None


def _is_there(hub: Hub) -> bool:
    """Whether the module exists; if not, that has its own error."""
    try:
        look_for(mirrored(hub.handle))
    except UserError:
        return False
    return True


LOOKS = (modules_exist,)
LOOKS_TO_INFER = (modules_can_be_asked,)
LOOKS_TO_TRAIN = (modules_take_the_features, modules_can_be_trained, modules_can_be_frozen)
