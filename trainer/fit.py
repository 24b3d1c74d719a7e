"""Fits a model to a training split, phase by phase."""

import logging
import math

import tensorflow as tf

from hubline.trainer import fit_notes, inputs
from hubline.trainer.adaptation import adapt_to
from hubline.trainer.caches import Cache
from hubline.trainer.callbacks import Averaged, EarlyStopping, Progress, Unaveraged
from hubline.trainer.checkpoints import Checkpoint, Checkpoints, EarlyStoppingState, Interval, PhaseState
from hubline.trainer.collapse import constant, stands_still
from hubline.trainer.config.training import EarlyStopping as Selection
from hubline.trainer.custom_loss import loss_of
from hubline.trainer.datasets import batches, together
from hubline.trainer.epochs import Position
from hubline.trainer.example_weights import example_weights
from hubline.trainer.interrupt import StopWhenInterrupted
from hubline.trainer.job import Job, Split
from hubline.trainer.metrics.in_training import training_metrics
from hubline.trainer.model import Parts, TunedModel
from hubline.trainer.nan_trace import cause
from hubline.trainer.optimizers import keras_rate, optimizer
from hubline.trainer.penalty import Penalty
from hubline.trainer.phases import Phase
from hubline.trainer.task import Task
from hubline.trainer.team import ChiefsClock
from hubline.trainer.tensorboard import LearningRate, TensorBoard, profiled_calls
from hubline.trainer.training_notes import Note
from hubline.trainer.untrained import Untrained
from hubline.trainer.watch import Watch, Watched
from hubline.trainer.weight_average import WeightAverage
from hubline.trainer.xla import explaining_xla

_LOGGER = logging.getLogger(__name__)

STEPS_ON_VECTORS = 32
"""Steps per call of TensorFlow. One step on vectors takes less time than the Python call."""


class Fit:
    """The training of a model. Epochs are counted from 0 over all phases, excluding those that were not trained."""

    def __init__(
        self,
        job: Job,
        start: Untrained,
        scratch: str,
        notes: list[Note],
        caches: list[Cache],
        watch: Watch | None = None,
    ) -> None:
        """Prepares the training.

        Args:
            job: The training run.
            start: The untrained model and the phases of its training.
            scratch: A folder on a local disk.
            notes: Receives notes about the training.
            caches: Receives how the examples of each phase are cached.
            watch: May end the training after an epoch.
        """
        self.history: list[dict[str, float]] = []
        """Metrics of each epoch."""
        self.exported_epoch = -1
        """The epoch whose weights the model has after the phases so far."""
        self._job, self._task, self._parts, self._transform = job, start.task, start.parts, start.transform
        self._phases, self._pace, self._known, self._team = start.phases, start.pace, start.known, start.team
        self._scratch, self._notes, self._caches = scratch, notes, caches
        self._watch = watch
        self._penalty = 0.0
        self._weights = example_weights(job, start.task, start.transform, notes)
        self._tuned_since: dict[str, int] = {}
        with start.parts.whole.distribute_strategy.scope():
            self._average = None if job.training.ema is None else WeightAverage(job.training.ema)

    def train_all(self, checkpoints: str) -> list[str]:
        """Trains all phases, or the rest of them.

        Args:
            checkpoints: A folder that survives an interrupted run.

        Returns:
            The folder of each phase's checkpoints.

        Raises:
            StoppedByWatch: if the watch ended the training.
        """
        adapt_to(self._job, self._task, self._parts, self._transform, self._phases[0], self._known)
        folders = [f"{checkpoints}/{number}" for number in range(len(self._phases))]
        for phase, folder in zip(self._phases, folders, strict=True):
            self.train(phase, folder)
        return folders

    def train(self, phase: Phase, checkpoints: str) -> None:
        """Trains a phase, or the rest of it.

        Args:
            phase: The phase.
            checkpoints: Folder of its checkpoint, which survives an interrupted run.
        """
        first = len(self.history)
        with self._parts.whole.distribute_strategy.scope():
            model = self._compiled(phase)
        state = PhaseState(total_steps=first * self._pace.steps)
        keep = self._job.training.checkpoints.max_to_keep
        checkpoint = Checkpoint(checkpoints, self._scratch, model, state, 2 if keep is None else keep, self._team)
        self._note_penalty(model, first)  # before restoring, so that a resumed run notes the same
        resumed = checkpoint.restore()
        if not state.finished:
            try:
                with explaining_xla():
                    self._fit(phase, model, state, checkpoint, resumed)
            except BaseException:
                self.history += state.history  # so that the curves until then can be shown
                raise
            state.finished = True
            checkpoint.save()
        self.history += state.history
        stopping = state.stopping
        selected = stopping is not None and stopping.is_defined
        self.exported_epoch = stopping.best_epoch if stopping is not None and selected else len(self.history) - 1
        if stopping is not None and not selected:
            assert self._job.training.selection is not None  # `stopping` is its state
            self._note(fit_notes.undefined_monitor(self._job.training.selection.monitor, len(self.history)))
        elif stopping is not None and stopping.stopped:
            self._note(fit_notes.stopped_early(stopping, first + len(state.history)))

    def finish(self) -> None:
        """Replaces the weights by their averages, if there are averages."""
        if self._average is not None:
            self._average.apply()

    def validation(self, last: Phase) -> tf.data.Dataset:
        """Inputs and targets of the validation split in the order of its records, for the model of the last phase."""
        return batches(self._job, self._task, self._transform, self._job.validation, "", last, epoch=None)

    def decided(self, trained: Parts, last: Phase, validation: tf.data.Dataset) -> Task:
        """The task with decisions that suit the validation split, with a note. Arguments as `judge`."""
        model = model_of(last, trained)
        task, text = self._task.decided((target, model(inputs, training=False)) for inputs, target in validation)
        if text is not None:
            self._note(Note(kind="threshold", text=text))
        return task

    def judge(self, trained: Parts, last: Phase, validation: tf.data.Dataset) -> None:
        """Adds notes if the model learned nothing.

        Args:
            trained: The trained model.
            last: The last phase.
            validation: As `validation` returns.
        """
        losses = [metrics["loss"] for metrics in self.history]
        for note in [stands_still(losses), *constant(self._task, model_of(last, trained), validation)]:
            if note is not None:
                self._note(note)

    def _fit(self, phase: Phase, model: TunedModel, state: PhaseState, checkpoint: Checkpoint, resumed: bool) -> None:
        job, first = self._job, len(self.history)
        done, end = first + len(state.history), first + phase.end - phase.first
        position = Position(done, state.step, together(phase, job.training, self._team.me))
        with tf.device("CPU"):  # where datasets run
            waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        train_data = self._data(phase, position)
        validation_data = self._data(phase)
        if state.step:
            model.build_metrics(train_data.element_spec[1])
        stopping, board = job.training.selection, job.training.tensorboard
        if stopping is not None and first and not resumed:
            state.stopping = self._before(model, validation_data, stopping, first)
        stopped = state.stopping is not None and state.stopping.stopped

        def not_finite(name: str, value: float, at: int) -> Exception:
            split, of = (job.validation, "validation ") if name.startswith("val_") else (job.train, "")
            return self._cause(phase, split, f"the {of}loss became {value} in epoch {at + 1}")

        total = first + self._pace.epochs - phase.first
        interval = Interval(job.training.checkpoints, self._pace, state.total_steps, ChiefsClock(self._team))
        steps = self._pace.steps
        last = self._pace.last if phase.end == self._pace.epochs else steps
        for part in [] if stopped else position.parts(train_data, end, steps, last):
            model.fit(
                inputs.timed(part.data, waited),
                validation_data=validation_data,
                initial_epoch=part.first,
                epochs=part.end,
                verbose=0,
                callbacks=[
                    # First, so that no checkpoint is saved with a loss that is not finite.
                    Progress(self._pace.examples, total, job.training.batch_size, waited, not_finite, part.skipped),
                    *([Averaged(model.average)] if model.average is not None else []),
                    *([EarlyStopping(stopping, state)] if stopping is not None else []),
                    *([Unaveraged(model.average)] if model.average is not None else []),
                    LearningRate(
                        keras_rate(job.training.optimizer.learning_rate, self._pace, first * self._pace.steps)
                    ),
                    TensorBoard(
                        job.logs,
                        first,
                        state.history if part.first == done else (),
                        first * self._pace.steps,
                        board.histograms,
                        # The rest of an interrupted epoch has other calls.
                        None
                        if part.skipped
                        else profiled_calls(board.profile, self._pace, part.first, part.end, _steps_per_call(phase)),
                    ),
                    Checkpoints(checkpoint, state, interval, self._pace),
                    StopWhenInterrupted(),
                    position,
                    *([Watched(self._watch, checkpoint, self.history, state)] if self._watch is not None else []),
                ],
            )
            if model.stop_training:
                break
        if state.stopping is not None and state.stopping.is_defined:
            model.set_weights(state.stopping.weights)
            if model.average is not None:  # these weights are averages already
                model.average.restart()

    def _cause(self, phase: Phase, split: Split, what: str) -> Exception:
        return cause(self._job, self._task, self._parts, self._transform, phase, split, what)

    def _compiled(self, phase: Phase) -> TunedModel:
        """The model that a phase trains, with new optimizers."""
        job, model = self._job, model_of(phase, self._parts)
        for name, backbone in self._parts.backbones.items():
            backbone.trainable = name in phase.tuned
        config, before = job.training.optimizer, len(self.history) * self._pace.steps
        if job.training.l1 or job.training.l2:
            model.penalty = Penalty(job.training.l1, job.training.l2, self._penalized(model))
        if self._average is not None:
            self._average.cover(model.trainable_variables)
            model.average = self._average
        if not phase.on_vectors:
            tuned = {}
            for name, tune in job.model.fine_tune.items():
                if name in phase.tuned:
                    since = self._tuned_since.setdefault(name, before)
                    pace = self._pace.after(tune.after_epochs)
                    own = optimizer(config, pace, tune.learning_rate, before - since)
                    tuned[self._parts.backbones[name].name] = own
            model.tune(tuned)
        model.compile(
            optimizer=optimizer(config, self._pace, before=before),
            loss=self._weights.loss(loss_of(job.training.loss, self._task)),
            metrics=training_metrics(job.training, job.label, self._task),
            weighted_metrics=[],  # none: metrics count every record once
            steps_per_execution=_steps_per_call(phase),
            jit_compile=job.training.devices.jit_compile,
        )
        return model

    def _penalized(self, model: TunedModel) -> list[tf.Variable]:
        """The trainable variables without regularization losses of their own."""
        own = {
            variable.ref()
            for backbone in self._parts.backbones.values()
            if backbone.trainable and backbone.losses
            for variable in backbone.trainable_variables
        }
        return [variable for variable in model.trainable_variables if variable.ref() not in own]

    def _data(self, phase: Phase, position: Position | None = None) -> tf.data.Dataset:
        """The training split from a position on, or the validation split."""
        job = self._job
        split, name = (job.validation, "validation") if position is None else (job.train, "train")
        scratch = f"{self._scratch}/{phase.first}-{name}"
        epoch, skipped = (0, None) if position is None else (position.epoch, position.skipped)
        return batches(
            *(job, self._task, self._transform, split, scratch, phase, epoch, self._record, skipped, self._weights),
            worker=self._team.me,
        )

    def _record(self, cache: Cache) -> None:
        self._caches.append(cache)
        _LOGGER.info("%s", cache)

    def _before(self, model: TunedModel, data: tf.data.Dataset, selection: Selection, first: int) -> EarlyStoppingState:
        """The model as a later phase finds it; the phase has to improve on it."""
        metrics = model.evaluate(data, verbose=0, return_dict=True)
        best = float(metrics[selection.monitor.removeprefix("val_")])
        if math.isnan(best):
            best = math.inf if selection.mode == "min" else -math.inf
        return EarlyStoppingState(best=best, best_epoch=first - 1, wait=0, weights=model.get_weights(), stopped=False)

    def _note_penalty(self, model: TunedModel, first: int) -> None:
        """Adds a note if a module's own regularization starts to count."""
        penalty = float(sum(float(loss) for loss in model.layer_losses))
        if penalty and not self._penalty and first:
            self._note(fit_notes.module_penalty(penalty, first + 1))
        self._penalty = penalty

    def _note(self, note: Note) -> None:
        self._notes.append(note)
        _LOGGER.log(logging.WARNING if note.is_warning else logging.INFO, "%s", note.text)


def model_of(phase: Phase, parts: Parts) -> TunedModel:
    """The model whose inputs a phase reads."""
    model = parts.on_vectors if phase.on_vectors else parts.whole
    assert model is not None  # a label that needs images has no phase on vectors
    return model


def _steps_per_call(phase: Phase) -> int:
    """Steps per call of TensorFlow."""
    return STEPS_ON_VECTORS if phase.on_vectors else 1
