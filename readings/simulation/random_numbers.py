"""Random numbers that are a function of where they are asked for, not of when.

SplitMix64's finaliser (Steele, Lea, Flood: "Fast splittable pseudorandom number
generators", OOPSLA 2014, with Stafford's constants, variant 13) turns a counter into 64
random bits. Chained over seed, meter, time and channel it gives every draw its own
number: the same on any machine, in any order, in any batch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def scrambled(counter: Bits) -> Bits:
    """64 random bits for each 64-bit counter."""
    bits = counter + _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def meter_streams(seed: int, meters: Bits) -> Bits:
    """A stream of draws for each meter number."""
    return scrambled(meters ^ scrambled(np.array([seed], dtype=np.uint64)))


def at_instant(streams: Bits, epoch_microseconds: int) -> Bits:
    """Each meter's stream at one instant; negative instants (before 1970) wrap."""
    instant = np.array([epoch_microseconds], dtype=np.int64).view(np.uint64)
    return scrambled(streams ^ scrambled(instant))


def uniform(streams: Bits, channel: int, low: float, high: float) -> Floats:
    """A number in [low, high) for each stream; another one for every channel."""
    step = np.uint64(channel * int(_GOLDEN) % 2**64)
    bits = scrambled(streams + step)
    # The upper 53 bits fill a float64's mantissa, as in numpy's own Generator.random.
    unit = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return low + (high - low) * unit
