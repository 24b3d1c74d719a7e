"""How far the answers of another form of a model are from those of the SavedModel."""

from collections.abc import Mapping

import numpy as np

from hubline.trainer.task import VALUE


def differences(expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """The greatest difference by output.

    Floats differ by their distance: scores and boxes, which are between 0 and 1, as they are, and predicted numbers in
    standard deviations of the expected ones. Of others, such as names and masks, the share that differs is measured.

    Args:
        expected: Outputs of the SavedModel by name, [records, ...].
        found: Outputs of the other form with the same shapes.

    Returns:
        None for an output that is not finite.

    Raises:
        ValueError: if outputs or shapes aren't the same.
    """
    if expected.keys() != found.keys():
        raise ValueError(f"outputs {sorted(found)} in place of {sorted(expected)}")
    return {name: _difference(name, values, found[name]) for name, values in expected.items()}


def _difference(name: str, expected: np.ndarray, found: np.ndarray) -> float | None:
    if expected.shape != found.shape:
        raise ValueError(f"output '{name}' has the shape {found.shape} in place of {expected.shape}")
    if not np.issubdtype(expected.dtype, np.floating):
        return float(np.mean(expected != found))
    if not np.isfinite(found).all():
        return None
    distance = np.abs(expected.astype(np.float64) - found.astype(np.float64)).max()
    return float(distance / (_spread(expected) if name == VALUE else 1.0))


def _spread(values: np.ndarray) -> float:
    """The standard deviation; the size of the values if they are all the same."""
    return float(values.std()) or float(np.abs(values).max()) or 1.0
