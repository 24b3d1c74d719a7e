"""Encoded sounds: decoding of WAV files to mono samples, and resampling, as TensorFlow operations.

Training, Embedder, `infer` and exported models all decode with these functions, so that a client that sends the bytes
of a file gets the samples that the model was trained on.

Resampling follows `scipy.signal.resample_poly` with its default window: a windowed sinc with 10 zero crossings on each
side, a Kaiser window with beta = 5, the lower of the two Nyquist frequencies as its cutoff, and unit gain at frequency
0. Sources: the documentation of `resample_poly` and `firwin` in SciPy; J. O. Smith, Digital Audio Resampling,
https://ccrma.stanford.edu/~jos/resample/.
"""

from __future__ import annotations

import math

from hubline.core.lazy_import import tf

WAV = "a WAV file with 16 bits a sample (PCM)"
"""The format that `decode` supports, in words."""

MOST_HZ = 768_000
"""The highest sample rate that is accepted."""

_WAV = r"RIFF\C{4}WAVE\C*"
_FORM = slice(8, 12)
"""Place of the word WAVE in a WAV file, after RIFF and the size of the rest."""
_CROSSINGS, _BETA = 10, 5.0
_MOST_STEPS = 48_000
"""The most steps of the filter between two zero crossings, which a file's sample rate decides: a filter of a million
weights. Usual rates need some hundred."""
_BLOCK = 1 << 18
"""Products of samples and weights that are computed together, which bounds the memory for a long sound."""


def are_readable(encoded: tf.Tensor) -> tf.Tensor:
    """Whether sounds, strings of any shape, begin as a WAV file does."""
    return tf.strings.regex_full_match(encoded, _WAV)


def format_fault(encoded: bytes) -> str | None:
    """What is wrong with the head of a file, or None."""
    if encoded.startswith(b"RIFF") and encoded[_FORM] == b"WAVE":
        return None
    return f"is not {WAV}: it begins with {encoded[:8]!r}"


def decode(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a WAV file.

    Args:
        encoded: The file, a scalar string.

    Returns:
        The mean of its channels, float32 [samples] in [-1, 1], and its sample rate in Hz, int64.

    Raises:
        tf.errors.InvalidArgumentError: if it is no such file, or has no samples.
    """
    sound, rate = tf.audio.decode_wav(encoded)
    rate = tf.cast(rate, tf.int64)
    is_sound = (tf.shape(sound)[0] > 0) & (rate > 0) & (rate <= MOST_HZ)
    fault = tf.strings.format("a WAV file with {} samples at {} Hz", [tf.shape(sound)[0], rate])
    with tf.control_dependencies([tf.debugging.Assert(is_sound, [fault])]):
        return tf.reduce_mean(sound, axis=1), rate


def resampled(sound: tf.Tensor, rate: tf.Tensor, to: int, samples: int, cut: str) -> tf.Tensor:
    """Resamples a sound, and cuts or pads it to a length. Only the part that is kept is resampled.

    Args:
        sound: float32 [n], with n > 0.
        rate: Its sample rate in Hz, int64.
        to: The wanted rate in Hz.
        samples: The wanted number of samples.
        cut: `start` keeps the beginning of a longer sound and pads a shorter one at its end; `center` keeps the middle,
            and pads both sides.

    Returns:
        float32 [samples] in [-1, 1]. Resampling may overshoot a little, which is clipped.

    Raises:
        tf.errors.InvalidArgumentError: if the rates have too small a common divisor, such as 767,999 Hz and 16 kHz.
    """
    up, down = _ratio(rate, to)
    fault = tf.strings.format("a WAV file at {} Hz, which is too odd to be resampled to {} Hz", [rate, to])
    with tf.control_dependencies([tf.debugging.Assert(tf.maximum(up, down) <= _MOST_STEPS, [fault])]):
        up, down = tf.identity(up), tf.identity(down)
    count = tf.size(sound, tf.int64)
    total = -(-count * up // down)
    kept = tf.minimum(total, samples)
    first = (total - kept) // 2 if cut == "center" else tf.zeros_like(total)
    part = tf.cond(
        tf.equal(up, down),
        lambda: sound[first : first + kept],
        lambda: _filtered(sound, up, down, first + tf.range(kept)),
    )
    before = (samples - kept) // 2 if cut == "center" else tf.zeros_like(kept)
    padded = tf.pad(part, [[before, samples - kept - before]])
    return tf.ensure_shape(tf.clip_by_value(padded, -1.0, 1.0), [samples])


def _ratio(rate: tf.Tensor, to: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The wanted and the given rate, divided by their greatest common divisor."""
    wanted = tf.constant(to, tf.int64)
    divisor, _ = tf.while_loop(lambda _, rest: rest > 0, lambda one, rest: (rest, one % rest), (wanted, rate))
    return wanted // divisor, rate // divisor


def _filtered(sound: tf.Tensor, up: tf.Tensor, down: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """Samples of the resampled sound.

    Sample m is the sum over n of sound[n] * up * h[m * down - n * up], where h is the filter at `up` times the given
    rate.

    Args:
        sound: float32 [n].
        up: Wanted rate, divided by the common divisor.
        down: Given rate, divided by the common divisor.
        numbers: Which samples to compute, int64 [m].
    """
    half = _CROSSINGS * tf.maximum(up, down)
    weights = _filter(half) * tf.cast(up, tf.float32)
    count = tf.size(sound, tf.int64)
    taps = 2 * half // up + 1
    size = tf.maximum(_BLOCK // taps, 1)  # samples in a block

    def samples(numbers: tf.Tensor) -> tf.Tensor:
        first = -((half - numbers * down) // up)  # the first n within the filter: (m * down - half) / up, rounded up
        at = first[:, tf.newaxis] + tf.range(taps)
        places = numbers[:, tf.newaxis] * down - at * up + half
        is_there = (at >= 0) & (at < count) & (places >= 0)
        taken = tf.gather(sound, tf.clip_by_value(at, 0, count - 1))
        weighted = taken * tf.gather(weights, tf.maximum(places, 0))
        return tf.reduce_sum(tf.where(is_there, weighted, 0.0), axis=1)

    def block(index: tf.Tensor, parts: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        return index + 1, parts.write(index, samples(numbers[tf.cast(index, tf.int64) * size :][:size]))

    blocks = tf.cast(-(-tf.size(numbers, tf.int64) // size), tf.int32)
    parts = tf.TensorArray(tf.float32, size=blocks, infer_shape=False, element_shape=[None])
    _, parts = tf.while_loop(lambda index, _: index < blocks, block, (0, parts), parallel_iterations=1)
    return parts.concat()


def _filter(half: tf.Tensor) -> tf.Tensor:
    """The filter at the places -half to half, float32 [2 * half + 1]; its sum is 1."""
    place = tf.cast(tf.range(-half, half + 1), tf.float64) / tf.cast(half, tf.float64)
    angle = place * (math.pi * _CROSSINGS)
    sinc = tf.where(angle == 0, tf.ones_like(angle), tf.sin(angle) / tf.where(angle == 0, tf.ones_like(angle), angle))
    window = tf.math.bessel_i0(_BETA * tf.sqrt(tf.maximum(1 - place**2, 0)))
    return tf.cast(sinc * window / tf.reduce_sum(sinc * window), tf.float32)


def trial_sounds(rate: int, samples: int) -> list[bytes]:
    """WAV files that differ in what may be heard: noise, silence and a tone of 440 Hz."""
    noise = tf.random.stateless_uniform([samples, 1], [0, 0], -1.0, 1.0)
    tone = 0.5 * tf.sin(tf.range(samples, dtype=tf.float32)[:, tf.newaxis] * (2 * math.pi * 440 / rate))
    return [tf.audio.encode_wav(sound, rate).numpy() for sound in (noise, tf.zeros_like(noise), tone)]
