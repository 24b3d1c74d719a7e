"""Creates the two modules and the noisy images of the generation example from scikit-learn's handwritten digits.

The first 897 digits, 8 x 8 pixels enlarged to 16 x 16, train both modules. The decoder of a variational autoencoder
generates a digit from a vector of 16 normally distributed numbers. A denoiser removes the noise from images of any
size; it has a signature only. The other 900 digits, written by other people, are in the images to denoise, with new
noise, and next to them the originals.

    python examples/generation/make_data.py
"""

import io
import os
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
FOR_THE_MODULES = 897
SIZE = 16
LATENT = 16
NOISE = 0.25  # standard deviation, where white is 1
PICTURES = 300
SAMPLES = 3


def enlarged(digits: np.ndarray) -> np.ndarray:
    """Scales digits from [0, 16], [n, 8, 8], to pixels in [0, 1], float32 [n, 16, 16, 1]."""
    resized = tf.image.resize(digits[..., np.newaxis] / 16.0, [SIZE, SIZE])
    return np.clip(resized.numpy(), 0.0, 1.0)


def png(pixels: np.ndarray) -> bytes:
    """Encodes pixels in [0, 1], [height, width, 1], as PNG."""
    out = io.BytesIO()
    Image.fromarray(np.round(255 * np.clip(pixels[..., 0], 0, 1)).astype(np.uint8)).save(out, format="PNG")
    return out.getvalue()


def write_records(images: np.ndarray, folder: Path) -> None:
    """Writes images of up to four digits side by side as PNGs: `image` with noise, and `clean` without."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "noisy.tfrecord.gz"), "GZIP") as writer:
        for number in range(PICTURES):
            clean = np.concatenate(list(images[rng.integers(len(images), size=rng.integers(1, 5))]), axis=1)
            noisy = png(clean + rng.normal(0, NOISE, clean.shape))
            columns = {"id": f"picture-{number:04d}".encode(), "image": noisy, "clean": png(clean)}
            features = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in columns.items()
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
            if number < SAMPLES:
                (folder / f"sample-{number}.png").write_bytes(noisy)


class Generator(tf.Module):
    """Maps vectors of 16 random numbers, float32 [batch, 16], to images in [0, 1], float32 [batch, 16, 16, 1]."""

    def __init__(self, decoder: tf.keras.Model) -> None:
        """Args:
        decoder: A trained decoder that returns logits.
        """
        super().__init__()
        self.decoder = decoder

    @tf.function(input_signature=[tf.TensorSpec([None, LATENT], tf.float32, name="latent")])
    def __call__(self, latent: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(self.decoder(latent, training=False))


def train_generator(images: np.ndarray, folder: Path) -> None:
    """Trains a variational autoencoder (Kingma and Welling, 2013) and saves its decoder."""
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    encoder = tf.keras.Sequential(
        [layers.Input([SIZE, SIZE, 1]), layers.Flatten(), layers.Dense(256, "relu"), layers.Dense(2 * LATENT)]
    )
    decoder = tf.keras.Sequential(
        [
            layers.Input([LATENT]),
            layers.Dense(256, "relu"),
            layers.Dense(4 * 4 * 32, "relu"),
            layers.Reshape([4, 4, 32]),
            layers.Conv2DTranspose(32, 4, 2, "same", activation="relu"),
            layers.Conv2DTranspose(1, 4, 2, "same"),
        ]
    )
    optimizer = tf.keras.optimizers.Adam(1e-3)
    variables = [*encoder.trainable_variables, *decoder.trainable_variables]

    @tf.function
    def step(pixels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            mean, log_variance = tf.split(encoder(pixels), 2, axis=1)
            drawn = mean + tf.exp(log_variance / 2) * tf.random.normal(tf.shape(mean))
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=pixels, logits=decoder(drawn))
            likelihood = tf.reduce_sum(losses, [1, 2, 3])
            divergence = tf.reduce_sum(mean**2 + tf.exp(log_variance) - 1 - log_variance, axis=1) / 2
            loss = tf.reduce_mean(likelihood + divergence)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    data = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images), seed=0).batch(64)
    for _ in range(200):
        losses = [step(batch) for batch in data]
    print(f"The generator was trained on {len(images)} digits; its loss came to {np.mean(losses):.1f}")
    tf.saved_model.save(Generator(decoder), str(folder))


class Denoiser(tf.Module):
    """Removes the noise from images of any size, float32 [batch, height, width, 1] in [0, 1]."""

    def __init__(self, model: tf.keras.Model) -> None:
        """Args:
        model: A trained network that predicts the noise.
        """
        super().__init__()
        self.model = model

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 1], tf.float32, name="noisy")])
    def denoised(self, noisy: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"denoised": tf.clip_by_value(noisy - self.model(noisy, training=False), 0.0, 1.0)}


def train_denoiser(images: np.ndarray, folder: Path) -> None:
    """Trains a convolutional network that predicts the noise in an image, and saves it with a signature only."""
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    hidden = [layers.Conv2D(32, 3, padding="same", activation="relu") for _ in range(4)]
    model = tf.keras.Sequential([layers.Input([None, None, 1]), *hidden, layers.Conv2D(1, 3, padding="same")])
    model.compile(tf.keras.optimizers.Adam(2e-3), "mean_squared_error")

    def with_noise(clean: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        noisy = tf.clip_by_value(clean + tf.random.normal(tf.shape(clean), stddev=NOISE), 0.0, 1.0)
        return noisy, noisy - clean

    data = tf.data.Dataset.from_tensor_slices(images).shuffle(len(images), seed=0).batch(32).map(with_noise)
    history = model.fit(data, epochs=60, verbose=0)
    error = history.history["loss"][-1] ** 0.5
    print(f"The denoiser was trained on {len(images)} digits; its error came to {error:.3f}")
    denoiser = Denoiser(model)
    holder = tf.Module()  # not callable
    holder.model = model
    tf.saved_model.save(holder, str(folder), signatures={"serving_default": denoiser.denoised})


def main() -> None:
    """Creates missing files."""
    images = enlarged(load_digits().images)
    if not (HERE / "data").exists():
        unfinished = HERE / "data.unfinished"
        write_records(images[FOR_THE_MODULES:], unfinished)
        unfinished.rename(HERE / "data")
    for name, train in (("generator", train_generator), ("denoiser", train_denoiser)):
        if not (HERE / "modules" / name / "saved_model.pb").exists():
            train(images[:FOR_THE_MODULES], HERE / "modules" / name)


if __name__ == "__main__":
    main()
