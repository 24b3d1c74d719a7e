"""Hub modules in the TF1 format with a graph for training and one for inference, and their training in a session."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
Signatures = dict[str, tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]]
WORDS = ("a", "good", "bad", "film", "book", "was", "is", "this")


@contextmanager
def loops_of_tf1() -> Iterator[None]:
    """Builds loops as TF1 did: from Enter, Switch and Exit nodes."""
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if enabled:
            v1.enable_control_flow_v2()


def export(path: Path, build: Callable[[bool], Signatures], references: bool = False, trains: bool = True) -> Path:
    """Writes a module.

    Args:
        path: The folder.
        build: Builds the graph for training (true) or inference, and returns inputs and outputs by signature.
        references: Whether variables are of the old type.
        trains: Whether there is a graph for training.
    """
    builder, has_variables = v1.saved_model.Builder(str(path)), False
    for training in (True, False) if trains else (False,):
        with loops_of_tf1(), tf.Graph().as_default(), v1.Session() as session:
            v1.set_random_seed(7)
            with v1.variable_scope(v1.get_variable_scope(), use_resource=not references):
                made = build(training)
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            signatures = {name: v1.saved_model.predict_signature_def(*each) for name, each in made.items()}
            options = {
                "main_op": v1.tables_initializer(),
                "assets_collection": v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            }
            tags = ["train"] if training else []
            if has_variables:
                builder.add_meta_graph(tags, signatures, **options)
            else:
                builder.add_meta_graph_and_variables(session, tags, signatures, **options)
            has_variables = True
    builder.save()
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path


def variable(name: str, shape: Sequence[int], **options) -> tf.Variable:
    initial = v1.random_normal_initializer(stddev=0.3)
    return v1.get_variable(name, shape, initializer=options.pop("initializer", initial), **options)


def penalize(weights: tf.Tensor) -> None:
    v1.add_to_collection(v1.GraphKeys.REGULARIZATION_LOSSES, 0.01 * tf.reduce_sum(tf.square(weights)))


def images(path: Path, references: bool = False, trains: bool = True, dropout: float = 0.0) -> Path:
    """Two blocks of convolution and batch normalization: images, [?, 8, 8, 3], to vectors, [?, 5]."""

    def normalized(values: tf.Tensor, training: bool) -> tf.Tensor:
        size, ones, zeros = values.shape[-1], tf.ones_initializer(), tf.zeros_initializer()
        with v1.variable_scope("BatchNorm"):
            gamma, beta = variable("gamma", [size], initializer=ones), variable("beta", [size], initializer=zeros)
            mean = variable("moving_mean", [size], initializer=zeros, trainable=False)
            variance = variable("moving_variance", [size], initializer=ones, trainable=False)
            if not training:
                return v1.nn.fused_batch_norm(values, gamma, beta, mean, variance, is_training=False)[0]
            result, of_batch, spread = v1.nn.fused_batch_norm(values, gamma, beta, is_training=True)
            for moving, now in ((mean, of_batch), (variance, spread)):
                update = v1.assign_sub(moving, 0.1 * (moving - now))
                v1.add_to_collection(v1.GraphKeys.UPDATE_OPS, update.op)
            return result

    def build(training: bool) -> Signatures:
        fed = values = v1.placeholder(tf.float32, [None, 8, 8, 3], name="images")
        with v1.variable_scope("net"):
            for block, size in (("block3", 4), ("block4", 6)):
                with v1.variable_scope(block):
                    kernel = variable("weights", [3, 3, values.shape[-1], size])
                    penalize(kernel)
                    values = tf.nn.relu(normalized(tf.nn.conv2d(values, kernel, 2, "SAME"), training))
            pooled = tf.reduce_mean(values, [1, 2])
            if training and dropout:
                pooled = v1.nn.dropout(pooled, rate=dropout)
            vectors = pooled @ variable("logits/weights", [6, 5])
        return {"default": ({"images": fed}, {"default": vectors, "net/block4": values})}

    return export(path, build, references, trains)


def sentences(path: Path, folder: Path, references: bool = False) -> Path:
    """Like nnlm: sentences, string [?], to vectors, [?, 4], from a table of words in two partitions. The signature
    `words` maps words, string [?, ?], to a vector for each."""

    def build(training: bool) -> Signatures:
        texts = v1.placeholder(tf.string, [None], name="sentences")
        table = _table(folder, len(WORDS))
        words = v1.get_variable(
            "embeddings", [9, 4], initializer=v1.random_normal_initializer(),
            partitioner=v1.fixed_size_partitioner(2),
        )  # fmt: skip
        parts, _ = tf.sparse.fill_empty_rows(v1.string_split(texts), "")
        ids = tf.SparseTensor(parts.indices, table.lookup(parts.values), parts.dense_shape)
        vectors = v1.nn.embedding_lookup_sparse(words, ids, None, combiner="sqrtn")
        tokens = v1.placeholder(tf.string, [None, None], name="tokens")
        by_word = tf.ensure_shape(v1.nn.embedding_lookup(words, table.lookup(tokens)), [None, None, 4])
        return {
            "default": ({"text": texts}, {"default": vectors}),
            "words": ({"words": tokens}, {"default": by_word}),
        }

    export(path, build, references)
    (folder / "words.txt").unlink()  # the module has its own
    return path


def elmo(path: Path, references: bool = False, dropout: float = 0.0, inside: bool = False) -> Path:
    """Like ELMo: a recurrent network in a loop of TF1 over the words of texts.

    Its signature `default` takes texts, `tokens` takes words and their number. `word_emb` and `elmo` are [?, words, 3],
    `default` is [?, 3], the mean over a text's words.

    Args:
        path: The folder.
        references: Whether variables are of the old type.
        dropout: Dropout rate of the words' vectors in training.
        inside: Whether dropout is inside the loop.
    """

    def encoded(tokens: tf.Tensor, lengths: tf.Tensor, training: bool) -> dict[str, tf.Tensor]:
        with v1.variable_scope("bilm", reuse=v1.AUTO_REUSE):
            words = tf.gather(variable("words", [50, 3]), tf.strings.to_hash_bucket_fast(tokens, 50))
            if training and dropout and not inside:
                words = v1.nn.dropout(words, rate=dropout)
            kernel, bias = variable("RNN_0/kernel", [6, 3]), variable("RNN_0/bias", [3])

            def step(time, state, outputs):
                given = words[:, time]
                if training and inside:
                    given = v1.nn.dropout(given, rate=dropout)
                new = tf.tanh(tf.concat([given, state], axis=1) @ kernel + bias)
                state = tf.where((time < lengths)[:, tf.newaxis], new, state)
                return time + 1, state, outputs.write(time, state)

            steps = tf.shape(words)[1]
            array = tf.TensorArray(tf.float32, size=steps, element_shape=[None, 3])
            _, _, outputs = tf.while_loop(
                lambda time, *_: time < steps, step, [0, tf.zeros_like(words[:, 0]), array], parallel_iterations=4
            )
            states = tf.ensure_shape(tf.transpose(outputs.stack(), [1, 0, 2]), [None, None, 3])
        with v1.variable_scope("aggregation", reuse=v1.AUTO_REUSE):
            scales = variable("scales", [2])
        mixed = scales[0] * words + scales[1] * states
        there = tf.sequence_mask(lengths, steps, tf.float32)[:, :, tf.newaxis]
        count = tf.cast(tf.maximum(lengths, 1), tf.float32)[:, tf.newaxis]
        return {"word_emb": words, "elmo": mixed, "default": tf.reduce_sum(mixed * there, axis=1) / count}

    def build(training: bool) -> Signatures:
        texts = v1.placeholder(tf.string, [None], name="texts")
        split = tf.sparse.to_dense(v1.string_split(texts), default_value="")
        counts = tf.reduce_sum(tf.cast(tf.not_equal(split, ""), tf.int32), axis=1)
        tokens = v1.placeholder(tf.string, [None, None], name="tokens")
        lengths = v1.placeholder(tf.int32, [None], name="lengths")
        signatures = {
            "default": ({"strings": texts}, encoded(split, counts, training)),
            "tokens": ({"tokens": tokens, "sequence_len": lengths}, encoded(tokens, lengths, training)),
        }
        with v1.variable_scope("aggregation", reuse=True):
            penalize(v1.get_variable("scales"))
        return signatures

    return export(path, build, references)


def _table(folder: Path, size: int) -> tf.lookup.StaticVocabularyTable:
    words = folder / "words.txt"
    words.write_text("".join(f"{word}\n" for word in WORDS[:size]))
    asset = tf.constant(str(words))
    v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
    lines = tf.lookup.TextFileInitializer(
        asset, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    return tf.lookup.StaticVocabularyTable(lines, 1)


@dataclass(frozen=True)
class Trained:
    """What training in a session came to."""

    losses: list[float]
    variables: dict[str, np.ndarray]
    answers: np.ndarray
    """Outputs of the graph for inference with the trained variables."""


def train_in_session(
    path: Path,
    batches: Sequence[tuple[Mapping[str, np.ndarray], np.ndarray]],
    kernel: np.ndarray,
    trains: Callable[[str], bool],
    rate: float,
    signature: str = "default",
    output: str = "default",
    tags: Collection[str] = ("train",),
) -> Trained:
    """Trains a module and a linear head by SGD, as one did in TF1, on the mean squared error.

    Args:
        path: The module.
        batches: Inputs by name, and targets.
        kernel: The head's initial weights; they stay fixed.
        trains: Whether a variable is trained, by its name.
        rate: Learning rate.
        signature: The signature to call.
        output: The output to use.
        tags: The graph to train.
    """
    with loops_of_tf1(), tf.Graph().as_default(), v1.Session() as session:
        meta = v1.saved_model.load(session, list(tags), str(path))
        definition = meta.signature_def[signature]
        vectors = session.graph.get_tensor_by_name(definition.outputs[output].name)
        vectors = vectors if vectors.shape.rank == 2 else tf.reduce_mean(vectors, axis=1)
        target = v1.placeholder(tf.float32, [None, kernel.shape[1]])
        loss = tf.reduce_mean(tf.square(vectors @ kernel - target))
        loss += tf.add_n([0.0, *v1.get_collection(v1.GraphKeys.REGULARIZATION_LOSSES)])
        chosen = [each for each in v1.trainable_variables() if trains(each.op.name)]
        with tf.control_dependencies(v1.get_collection(v1.GraphKeys.UPDATE_OPS) if tags else []):
            step = v1.train.GradientDescentOptimizer(rate).minimize(loss, var_list=chosen)
        losses = []
        for inputs, wanted in batches:
            fed = {definition.inputs[name].name: value for name, value in inputs.items()}
            losses.append(float(session.run([loss, step], {**fed, target: wanted})[0]))
        values = {each.op.name: value for each in v1.global_variables() for value in [session.run(each)]}
    return Trained(losses, values, infer_in_session(path, values, batches[0][0], signature, output))


def infer_in_session(
    path: Path, values: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray], signature: str, output: str
) -> np.ndarray:
    """Output of the graph for inference, with given variables."""
    with tf.Graph().as_default(), v1.Session() as session:
        meta = v1.saved_model.load(session, [], str(path))
        for each in v1.global_variables():
            each.load(values[each.op.name], session)
        definition = meta.signature_def[signature]
        fed = {definition.inputs[name].name: value for name, value in inputs.items()}
        return session.run(definition.outputs[output].name, fed)
