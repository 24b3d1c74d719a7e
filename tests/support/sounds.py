"""WAV files, and their samples as SciPy resamples them."""

import io
import wave

import numpy as np
from scipy.signal import resample_poly


def wav(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file of int16 samples, [n] or [n, channels]."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def tone(hertz: float, rate: int, count: int, seed: int = 0) -> np.ndarray:
    """A tone with some noise, int16 [count]."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi)
    sound = 0.5 * np.sin(2 * np.pi * hertz * np.arange(count) / rate + phase) + rng.normal(0, 0.02, count)
    return np.round(sound * 32767).astype(np.int16)


def as_samples(samples: np.ndarray, rate: int, to: int, length: int, cut: str = "start") -> np.ndarray:
    """Mono samples in [-1, 1], resampled as a whole by SciPy, and then cut or padded."""
    mono = samples.astype(np.float64) / 32768
    mono = mono.mean(axis=1) if mono.ndim == 2 else mono
    divisor = int(np.gcd(rate, to))
    whole = mono if rate == to else resample_poly(mono, to // divisor, rate // divisor)
    first = max(len(whole) - length, 0) // 2 if cut == "center" else 0
    kept = whole[first : first + length]
    before = (length - len(kept)) // 2 if cut == "center" else 0
    return np.clip(np.pad(kept, [(before, length - len(kept) - before)]), -1, 1)
