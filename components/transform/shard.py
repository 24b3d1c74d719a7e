"""Analyzer results for one shard of the training split, in a form that can be cached and merged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

from hubline.components.transform.config import TransformConfig
from hubline.core import storage, typed_json
from hubline.core.concurrency import in_order
from hubline.core.counts import hold
from hubline.core.shard_cache import ShardCache, key
from hubline.core.shard_dataset import read_file
from hubline.preprocessing.accumulators import (
    ACCUMULATORS,
    DocumentFrequency,
    NumberStatistics,
    QuantileSketches,
    UnparsedTexts,
    WordCounts,
    accumulators,
)
from hubline.preprocessing.analysis import (
    AnalysisResults,
    DocumentFrequencyRequest,
    MomentsRequest,
    QuantilesRequest,
    Question,
    RecordingAnalyzer,
    UnparsedRequest,
    VocabularyRequest,
)
from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.transform import preprocessing_fn, raw_columns

_FILE = "accumulators.json"
_NO_WORD = b"49d0cd50-04bb-48c0-bc6f-5b575dce351a"
"""TF Transform's placeholder for an empty vocabulary: TensorFlow cannot make a table from an empty file."""
_BATCH = 1024  # records per batch; small enough for images of some hundred kilobytes


@dataclass(frozen=True)
class Shard:
    """A file of the training split."""

    name: str
    """Its path."""
    count: int
    """Number of records."""
    key: str
    """Key of the results in the shard cache."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return storage.stat(self.name).size


class _Pass:
    """The computation for each batch, traced once for all shards."""

    def __init__(self, config: str, schema: bytes) -> None:
        self._config = TransformConfig.model_validate_json(config)
        columns = raw_columns(self._config.features, self._config.label)
        self._spec = parsing_spec(schema_pb2.Schema.FromString(schema), columns)
        self._recorder = RecordingAnalyzer()
        traced = tf.function(self._values, [tf.TensorSpec([None], tf.string)], autograph=False)
        self.values = traced.get_concrete_function()
        self.questions: dict[str, Question] = self._recorder.questions

    def _values(self, serialized: tf.Tensor) -> dict[str, tf.Tensor | tf.SparseTensor]:
        parsed = tf.io.parse_example(serialized, self._spec)
        preprocessing_fn(parsed, self._config.features, self._config.label, self._recorder)
        return self._recorder.values


@cache
def _pass(config: str, schema: bytes) -> _Pass:
    return _Pass(config, schema)


@dataclass(frozen=True)
class Analysis:
    """Computes what features and label need of each shard."""

    config: str
    """`TransformConfig` as JSON."""
    schema: bytes
    """Serialized schema of the raw columns."""

    @property
    def questions(self) -> dict[str, Question]:
        """The analyzers' questions, by name."""
        return _pass(self.config, self.schema).questions

    def recipe(self, code: str) -> str:
        """Digest of all that results depend on besides the records.

        Args:
            code: Digest of the code that computes them.
        """
        return key("analysis", self.config, self.schema.hex(), code)

    def __call__(self, shard: Shard, folder: str, report: Callable[[int], None]) -> None:
        """Reads a shard once for all analyzers, and writes their accumulators to a folder.

        Raises:
            DamageError: if the shard lacks records that were written to it.
        """
        found = accumulators(self.questions)
        if found:
            compute, read = _pass(self.config, self.schema).values, 0
            # Not Dataset.map, which would be traced and optimized anew for each shard.
            for serialized in read_file(tf.constant(shard.name)).batch(_BATCH).prefetch(1):
                read += len(serialized)
                for name, values in compute(serialized).items():
                    found[name].add(values)
                report(len(serialized))
            hold(shard.name, read, shard.count)
        storage.write_bytes(f"{folder}/{_FILE}", typed_json.dump(found, ACCUMULATORS))


def answers(questions: dict[str, Question], shards: Sequence[Shard], store: str, folder: str) -> AnalysisResults:
    """Merges the results of accumulated shards.

    Args:
        questions: The analyzers' questions.
        shards: The whole training split.
        store: Folder of the shard cache.
        folder: Folder for the vocabularies, each in a file named after its question.
    """
    known = accumulators(questions)
    for content in in_order(partial(_load, store), shards):
        for name, other in typed_json.load(content, ACCUMULATORS).items():
            known[name].merge(other)
    found = AnalysisResults(moments={}, quantiles={}, vocabularies={})
    words: dict[str, list[bytes]] = {}
    for name, question in questions.items():
        accumulator = known[name]
        if isinstance(question, MomentsRequest) and isinstance(accumulator, NumberStatistics):
            found.moments[name] = accumulator.answer()
        elif isinstance(question, QuantilesRequest) and isinstance(accumulator, QuantileSketches):
            found.quantiles[name] = accumulator.answer(question.buckets)
        elif isinstance(question, VocabularyRequest) and isinstance(accumulator, WordCounts):
            words[name] = accumulator.answer(question.limits) or [_NO_WORD]
            found.vocabularies[name] = f"{folder}/{name}"
            storage.write_bytes(f"{folder}/{name}", b"".join(b"%b\n" % word for word in words[name]))
        elif isinstance(question, DocumentFrequencyRequest) and isinstance(accumulator, DocumentFrequency):
            # Questions are in order: the vocabulary has been computed before.
            found.documents[question.vocabulary] = accumulator.answer(words[question.vocabulary])
        elif isinstance(question, UnparsedRequest) and isinstance(accumulator, UnparsedTexts):
            found.unread[question.feature] = accumulator.answer()
    return found


def _load(store: str, shard: Shard) -> bytes:
    return storage.read_bytes(f"{ShardCache(store).found(shard.key, shard.name)}/{_FILE}")
