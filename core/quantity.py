"""Kubernetes quantities, such as 500m, 2, 512Mi or 32Gi."""

import re
from typing import Annotated

from pydantic import AfterValidator


def _quantity(value: str) -> str:
    # https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m|[kMGTPE]|[KMGTPE]i)?", value)
    if not match or float(match[1]) == 0:
        raise ValueError(f"'{value}' is not a positive Kubernetes quantity, such as 500m, 2, 512Mi or 32Gi")
    return value


Quantity = Annotated[str, AfterValidator(_quantity)]
"""A Kubernetes quantity."""

_FACTORS = {"m": 1e-3} | {
    f"{unit}{suffix}": base**power
    for power, unit in enumerate("KMGTPE", 1)
    for suffix, base in (("i", 1024), ("", 1000))
}


def amount(quantity: str) -> float:
    """Converts a Kubernetes quantity to a number of processors or bytes."""
    number = quantity.rstrip("mkKMGTPEi")
    unit = quantity[len(number) :]
    return float(number) * (_FACTORS[unit.replace("k", "K")] if unit else 1.0)
