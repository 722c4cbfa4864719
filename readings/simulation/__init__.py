"""Simulated meters: pure functions of (seed, meter, time). No input or output, no Django."""
