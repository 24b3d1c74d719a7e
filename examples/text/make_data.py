"""Creates the data and hub module of the text example from the docstrings of installed packages.

The first sentences of the docstrings of five packages become records: `sentence` and `package`. Duplicates, and
sentences that occur in several packages, are left out. The module is trained on sentences of other packages, to
classify which package a sentence comes from; it never sees the five packages themselves.

    python examples/text/make_data.py
"""

import ast
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
PACKAGES = ("numpy", "pandas", "scipy", "sklearn", "tensorflow")
OTHERS = (
    "apache_beam", "hypothesis", "IPython", "keras", "pyarrow", "pydantic", "rich", "tensorboard",
    "tensorflow_data_validation", "tensorflow_model_analysis", "tensorflow_transform", "tfx",
)  # fmt: skip
MOST = 1500  # sentences per package
SHARDS = 4
NUMBERS = 128  # size of a word vector
OFTEN = 2  # minimum occurrences of a word with a vector of its own
EPOCHS = 4
BUCKETS = 2000  # for all other words


def sentences(package: str) -> list[str]:
    """The opening sentences of a package's docstrings without duplicates, in a fixed pseudo-random order."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return []
    root = Path(spec.submodule_search_locations[0])
    files = [path for path in sorted(root.rglob("*.py")) if "test" not in str(path.relative_to(root))]
    found = {sentence for path in files for docstring in docstrings(path) for sentence in split(docstring)}
    return sorted(found, key=lambda sentence: sha256(sentence.encode()).digest())[:MOST]


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings in a source file."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def split(docstring: str) -> list[str]:
    """The sentences of five or more words in a docstring's first paragraph."""
    paragraph = " ".join(docstring.partition("\n\n")[0].split())
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraph)
    return [part for part in parts if part.endswith(".") and 5 <= len(part.split()) <= 40]


def write_records(by_package: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Writes the sentences that occur in a single package to GZIP TFRecord shards."""
    count = Counter(sentence for found in by_package.values() for sentence in found)
    rows = [(sentence, name) for name, found in by_package.items() for sentence in found if count[sentence] == 1]
    folder.mkdir(parents=True)
    for shard in range(SHARDS):
        path = folder / f"sentences-{shard:05d}-of-{SHARDS:05d}.tfrecord.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for sentence, package in rows[shard::SHARDS]:
                writer.write(example(sentence=sentence, package=package))
    of_each = Counter(package for _, package in rows)
    package, most = of_each.most_common(1)[0]
    print(f"{len(rows):,} sentences; the most frequent package is {package}: {most / len(rows):.3f} of all")


def example(**columns: str) -> bytes:
    """A serialized tf.Example."""
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()])) for name, text in columns.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


class Sentences(tf.Module):
    """Embeds texts, string [batch]: `default`, float32 [batch, 128], is the mean of the word vectors; `words`, float32
    [batch, words, 128], are the word vectors, padded with zeros."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        """Args:
        vocabulary: Words in the order of their indices.
        """
        super().__init__()
        words = tf.lookup.KeyValueTensorInitializer(vocabulary, tf.range(len(vocabulary), dtype=tf.int64))
        self.table = tf.lookup.StaticVocabularyTable(words, BUCKETS)
        rows = tf.random.stateless_normal([len(vocabulary) + BUCKETS, NUMBERS], [0, 0], stddev=0.1)
        self.vectors = tf.Variable(rows, name="vectors")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    def __call__(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        words = split_words(texts)
        vectors = words.with_flat_values(tf.gather(self.vectors, self.table.lookup(words.flat_values)))
        mean = tf.math.divide_no_nan(
            tf.reduce_sum(vectors, axis=1), tf.cast(words.row_lengths(), tf.float32)[:, tf.newaxis]
        )
        return {"default": mean, "words": vectors.to_tensor(shape=[None, None, NUMBERS])}


def split_words(texts: tf.Tensor) -> tf.RaggedTensor:
    """Splits texts into lower-case words and numbers, string [batch, (words)]."""
    return tf.strings.split(tf.strings.regex_replace(tf.strings.lower(texts), "[^a-z0-9]+", " "))


def train_module(by_package: Mapping[str, Sequence[str]], folder: Path) -> None:
    """Trains the module with a dense layer that classifies the package, and saves it without that layer."""
    tf.keras.utils.set_random_seed(0)
    texts = tf.constant([sentence for found in by_package.values() for sentence in found])
    labels = np.repeat(range(len(by_package)), [len(found) for found in by_package.values()])
    met = Counter(split_words(texts).flat_values.numpy().tolist())
    module = Sentences([word.decode() for word, times in met.most_common() if times >= OFTEN])
    head = tf.keras.layers.Dense(len(by_package))
    head.build([None, NUMBERS])
    optimizer = tf.keras.optimizers.Adam(5e-3)
    variables = [module.vectors, *head.trainable_variables]
    data = tf.data.Dataset.from_tensor_slices((texts, labels)).shuffle(len(labels), seed=0).batch(64)

    @tf.function
    def step(texts: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = head(tf.nn.dropout(module(texts)["default"], 0.3))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return tf.cast(tf.equal(tf.argmax(logits, 1), labels), tf.float32)

    for _ in range(EPOCHS):
        right = [is_right for batch in data for is_right in step(*batch).numpy()]
    print(
        f"The module was trained on {len(labels):,} sentences of {len(by_package)} other packages; in the last epoch "
        f"it tells {np.mean(right):.3f} of them"
    )
    tf.saved_model.save(module, str(folder))


def main() -> None:
    """Creates missing files."""
    warnings.filterwarnings("ignore", category=SyntaxWarning)  # in the sources of other packages
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    if not (HERE / "data").exists():
        unfinished = HERE / "data.unfinished"
        write_records({name: sentences(name) for name in PACKAGES}, unfinished)
        unfinished.rename(HERE / "data")
    if not (HERE / "modules" / "sentences" / "saved_model.pb").exists():
        train_module({name: found for name in OTHERS if (found := sentences(name))}, HERE / "modules" / "sentences")


if __name__ == "__main__":
    main()
