"""The feature kind `audio`: WAV files decoded in TensorFlow, compared with SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter, ValidationError

from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.locate_bad_records import undecodable
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.components.predictor.hub_model import HubModelSpec, Options
from hubline.components.predictor.inputs import Item
from hubline.preprocessing.config import Features
from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hub
from hubline.trainer.hub_callable import HubCallable
from hubline.trainer.inputs import encoded_images, pixels_of_batch
from hubline.trainer.module import Function, Tensor
from hubline.trainer.module_inputs import input_faults, way
from hubline.trainer.randomness import changed
from hubline.trainer.saved_model_loader import open_module
from tests.support import example_data, hub_modules
from tests.support.sounds import as_samples, tone, wav

RATE = 16_000


def audio(**keys: object) -> AudioFeature:
    return AudioFeature.model_validate({"kind": "audio", "sample_rate": RATE, "samples": 2000, **keys})


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["start", "center"])
@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_samples_are_those_of_scipy(rate: int, cut: str) -> None:
    feature = audio(cut=cut)
    decode = tf.function(feature.decoded, input_signature=[tf.TensorSpec([], tf.string)])
    short, long = tone(440, rate, rate // 20), tone(3000, rate, rate // 2, seed=1)
    stereo = np.stack([long, tone(700, rate, len(long), seed=2)], axis=1)
    loud = np.where(np.arange(rate // 4) // 9 % 2, 32767, -32768).astype(np.int16)  # overshoots between its edges
    for samples in (short, long, stereo, loud, short[:1]):
        expected = as_samples(samples, rate, RATE, 2000, cut)
        # int16 and float32 have 2^-15 and 2^-24; some hundred products are added up.
        np.testing.assert_allclose(decode(tf.constant(wav(samples, rate))), expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_long_sound_is_resampled_in_blocks() -> None:
    sound = tone(440, 44_100, 30_000)
    found = audio(samples=10_500).decoded(tf.constant(wav(sound, 44_100)))  # three blocks of up to 4,600 samples
    np.testing.assert_allclose(found, as_samples(sound, 44_100, RATE, 10_500), rtol=0, atol=1e-5)


def test_a_filter_much_longer_than_a_block_is_computed_sample_by_sample() -> None:
    sound = tone(3, 48_000, 150_000)
    found = audio(sample_rate=3, samples=12).decoded(tf.constant(wav(sound, 48_000)))  # 320,001 weights, 10 samples
    np.testing.assert_allclose(found, as_samples(sound, 48_000, 3, 12), rtol=0, atol=1e-5)


def test_a_rate_that_would_need_a_huge_filter_is_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="767999 Hz, which is too odd to be resampled to 16000 Hz"):
        audio().decoded(tf.constant(wav(tone(440, 8000, 10), 767_999)))


def test_augmentation_changes_pictures_and_no_sounds() -> None:
    image, sound = tf.reshape(tf.range(12, dtype=tf.int32), [2, 2, 3]), tf.constant([0.5, -0.5])
    examples = tf.data.Dataset.from_tensors({"photo": tf.cast(image, tf.uint8), "sound": sound})
    flipped = changed(examples.repeat(16), [Augmentation(flip_left_right=True)], seed=1, epoch=0)
    found = list(flipped.as_numpy_iterator())
    assert all(np.array_equal(each["sound"], sound) for each in found)
    assert {tuple(each["photo"][0, :, 0]) for each in found} == {(0, 3), (3, 0)}


@pytest.mark.slow
def test_batches_and_single_records_are_decoded_alike() -> None:
    features: Features = {"sound": audio(**{"from": "wav", "samples": None, "seconds": 0.05})}
    sounds = [tone(300, 8000, 500), tone(900, 44_100, 900)]
    parsed = {"wav": tf.constant([wav(sounds[0], 8000), wav(sounds[1], 44_100)])}
    given = encoded_images(features, parsed)
    batch = pixels_of_batch(features, given)["sound"]
    expected = [as_samples(sounds[0], 8000, RATE, 800), as_samples(sounds[1], 44_100, RATE, 800)]
    np.testing.assert_allclose(batch, expected, rtol=0, atol=1e-5)


def test_records_without_a_sound_are_named(tmp_path) -> None:
    sound = wav(tone(300, 8000, 100), 8000)
    eight_bit = sound[:34] + b"\x08\x00" + sound[36:]
    records = [
        example_data.record(wav=sound),
        example_data.record(wav=b"ID3 is no WAV"),
        example_data.record(wav=7),
        example_data.record(other="x"),
    ]
    features = TypeAdapter(Features).validate_python({"wav": audio().model_dump(by_alias=True)})
    contract = contract_of(features, None)
    kind = kind_of(records[0], contract)
    faults = [find_fault(record, contract, kind) for record in records]
    assert faults[0] is None
    assert faults[1] == "its sound 'wav' is not a WAV file with 16 bits a sample (PCM): it begins with b'ID3 is n'"
    assert faults[2] == "its sound 'wav' is a number; it must be the bytes of a WAV file with 16 bits a sample (PCM)"
    assert faults[3] is not None and "wav" in faults[3]
    assert are_sound(tf.constant(records[:2]), contract, kind).numpy().tolist() == [True, False]
    silent = wav(np.zeros(0, np.int16), 8000)
    path = example_data.write_tfrecord(
        tmp_path / "a", [records[0], *(example_data.record(wav=one) for one in (sound[:30], eight_bit, silent))]
    )
    found = {one.record: one.reason for one in undecodable(str(path), features)}
    assert found.keys() == {1, 2, 3}
    assert all(reason.startswith("its sound 'wav' does not decode: ") for reason in found.values())
    assert "a WAV file with 0 samples at 8000 Hz" in found[3]


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("float32", (None, 2000), "batch"),
        ("float32", (None, None), "batch"),
        ("float16", (1, 2000), "batch of one"),
        ("float32", (None,), "single"),
        ("float32", (2000,), "single"),
        ("int16", (None, 2000), "sounds feed inputs of floats only"),
        ("float32", (None, 1000), "give the feature samples: 1000"),
        ("float32", (None, 2000, 1), "but the feature 'sound' gives float32[?, 2000]"),
    ],
)
def test_the_inputs_that_take_sounds(dtype: str, shape: tuple, expected: str) -> None:
    wanted, features = Tensor(dtype=dtype, shape=shape), {"sound": audio()}
    function = Function(inputs={"waveform": wanted}, outputs={})
    faults = input_faults(function, Hub.model_validate({"handle": "m", "inputs": {"waveform": "sound"}}), features)
    assert expected in (faults[0] if faults else str(way(wanted, features["sound"])))


@pytest.mark.slow
def test_a_module_that_takes_one_waveform_at_a_time(tmp_path) -> None:
    """As YAMNet does: float32[?] to one vector per frame."""
    path = hub_modules.module(tmp_path / "m", tf.TensorSpec([None]), lambda wave: tf.reshape(wave, [-1, 500])[:, :2])
    sounds = [tone(300, 8000, 1000, seed) for seed in range(3)]
    waves = np.array([as_samples(one, 8000, RATE, 2000) for one in sounds])
    frames = waves.reshape(3, 4, 500)[:, :, :2]
    features: Features = {"sound": audio(**{"from": "wav"})}
    hub = Hub.model_validate({"handle": str(path), "inputs": {"wave": "sound"}, "pool": "mean"})
    trained = HubCallable(hub, open_module(str(path)), features, None)
    np.testing.assert_allclose(trained({"sound": tf.constant(waves, tf.float32)}), frames.mean(axis=1), atol=1e-5)

    records = [example_data.record(wav=wav(one, 8000)) for one in sounds]
    items = [Item("a", number, 0, record) for number, record in enumerate(records)]
    asked = HubModelSpec.of(str(path), hub, features, Options()).open()
    assert asked.one_at_a_time
    found = [asked.ask("example", [item])[0].json_values["default"] for item in items]
    np.testing.assert_allclose(found, frames, atol=1e-5)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"samples": None}, "set either seconds or samples"),
        ({"seconds": 1.0}, "set either seconds or samples"),
        ({"samples": None, "seconds": 1e-5}, "less than one sample"),
        ({"sample_rate": 0}, "greater than or equal to 1"),
        ({"samples": None, "seconds": 3600, "sample_rate": 44_100}, "158,760,000 samples are more than 10,000,000"),
    ],
)
def test_mistakes_say_what_would_be_right(keys: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        audio(**keys)


def test_a_column_of_sounds_feeds_no_other_kind() -> None:
    with pytest.raises(ValidationError, match="'note' is text, and the column 'wav' holds sounds"):
        TypeAdapter(Features).validate_python(
            {"wav": audio().model_dump(by_alias=True), "note": {"kind": "text", "from": "wav"}}
        )
