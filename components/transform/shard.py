"""Analyzer results for one shard of the training split, in a form that can be cached and merged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

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
    """A file of the training split, and what to compute from it."""

    name: str
    """Its path."""
    digest: str
    count: int
    """Number of records."""
    config: str
    """`TransformConfig` as JSON."""
    schema: bytes
    """Serialized schema of the raw columns."""
    store: str
    code: str
    """Digest of the code that computes the results."""

    @property
    def key(self) -> str:
        """Cache key of the results."""
        return key("analysed", self.digest, self.config, self.schema.hex(), self.code)

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


def accumulate(shard: Shard, folder: str, report: Callable[[int], None]) -> None:
    """Reads a shard once for all analyzers, and writes their accumulators to a folder.

    Raises:
        DamageError: if the shard lacks records that were written to it.
    """
    analysis = _pass(shard.config, shard.schema)
    found = accumulators(analysis.questions)
    if found:
        read = 0
        # Not Dataset.map, which would be traced and optimized anew for each shard.
        for serialized in read_file(tf.constant(shard.name)).batch(_BATCH).prefetch(1):
            read += len(serialized)
            for name, values in analysis.values(serialized).items():
                found[name].add(values)
            report(len(serialized))
        hold(shard.name, read, shard.count)
    storage.write_bytes(f"{folder}/{_FILE}", typed_json.dump(found, ACCUMULATORS))


def answers(shards: Sequence[Shard], folder: str) -> AnalysisResults:
    """Merges the results of accumulated shards.

    Args:
        shards: The whole training split.
        folder: Folder for the vocabularies, each in a file named after its question.
    """
    questions = _pass(shards[0].config, shards[0].schema).questions
    known = accumulators(questions)
    for content in in_order(_load, shards):
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


def _load(shard: Shard) -> bytes:
    return storage.read_bytes(f"{ShardCache(shard.store).found(shard.key, shard.name)}/{_FILE}")
