"""Simulated meters: pure functions of (seed, meter, time). No I/O, no Django."""
