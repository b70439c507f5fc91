"""Chance without a generator: every draw is a hash of what it is drawn for.

The same line gives the same draw on every machine, in whatever part of the data it is met, and
one decision more or less changes no other.
"""

from __future__ import annotations

from zlib import crc32

import numpy as np
import numpy.typing as npt

from engine.demo.source import Floats, Ints

# SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_MANTISSA_BITS = 53


def draw(topic: str, numbers: Ints) -> Floats:
    """Draws one number from 0 (inclusive) to 1 (exclusive) for each of the numbers, per topic."""
    whole = _mix(topic, numbers) >> np.uint64(64 - _MANTISSA_BITS)
    return whole.astype(np.float64) * 2.0**-_MANTISSA_BITS


def between(topic: str, numbers: Ints, low: int, high: int) -> Ints:
    """Draws one whole number from `low` to `high`, both included, for each of the numbers."""
    return low + (draw(topic, numbers) * (high - low + 1)).astype(np.int64)


def _mix(topic: str, numbers: Ints) -> npt.NDArray[np.uint64]:
    value = numbers.astype(np.uint64) * np.uint64(2**32 + 1) + np.uint64(crc32(topic.encode()))
    value = value * _FIRST + _STEP
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    mixed: npt.NDArray[np.uint64] = value ^ (value >> np.uint64(31))
    return mixed
