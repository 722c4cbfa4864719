"""Random numbers that depend only on (seed, meter, time, channel).

The finaliser of SplitMix64 turns a 64-bit counter into 64 random bits (Steele, Lea, Flood: "Fast splittable
pseudorandom number generators", OOPSLA 2014, with Stafford's constants, variant 13). Applied in turn to
seed, meter, time and channel, it gives each draw its own number. The number is the same on any machine, in
any order and in any batch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)
_LOW_21, _LOW_32 = np.uint64(2**21 - 1), np.uint64(2**32 - 1)


def mix(counters: Bits) -> Bits:
    """Return 64 random bits for each 64-bit counter."""
    bits = counters + _GOLDEN_RATIO
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def meter_streams(seed: int, meters: Bits) -> Bits:
    """Return the state of a random stream for each meter number."""
    return mix(meters ^ mix(np.array([seed], dtype=np.uint64)))


def streams_at_instant(streams: Bits, epoch_microseconds: int) -> Bits:
    """Return each meter's stream at one instant, in microseconds since 1970. Earlier instants are negative."""
    instant = np.array([epoch_microseconds], dtype=np.int64).view(np.uint64)
    return mix(streams ^ mix(instant))


def uniform(streams: Bits, channel: int, low: float, high: float) -> Floats:
    """Return a random number in [low, high) for each stream. Each channel gives independent numbers."""
    bits = _draw(streams, channel)
    # A float64 has 53 bits of mantissa. numpy's Generator.random also uses the upper 53 bits.
    unit = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return low + (high - low) * unit


def halves(streams: Bits, channel: int) -> tuple[Floats, Floats]:
    """Return two independent random numbers in [0, 1) for each stream, from one draw. Each has 32 bits."""
    bits = _draw(streams, channel)
    high = bits >> np.uint64(32)
    bits &= _LOW_32
    return bits.astype(np.float64) * 2.0**-32, high.astype(np.float64) * 2.0**-32


def thirds(streams: Bits, channel: int) -> tuple[Floats, Floats, Floats]:
    """Return three independent random numbers in [0, 1) for each stream, from one draw. Each has 21 bits."""
    bits = _draw(streams, channel)
    low = (bits & _LOW_21).astype(np.float64) * 2.0**-21
    middle = ((bits >> np.uint64(21)) & _LOW_21).astype(np.float64) * 2.0**-21
    high = (bits >> np.uint64(43)).astype(np.float64) * 2.0**-21
    return low, middle, high


def streams_at_number(streams: Bits, number: int | Bits) -> Bits:
    """Return each stream at a whole number, such as a day or a charging session. Numbers may be negative."""
    if isinstance(number, int):
        number = np.array([number], dtype=np.int64).view(np.uint64)
    return mix(streams ^ mix(number))


def _draw(streams: Bits, channel: int) -> Bits:
    """Return 64 random bits of a channel for each stream."""
    return mix(streams + np.uint64(channel * int(_GOLDEN_RATIO) % 2**64))
