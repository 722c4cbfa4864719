"""Readings in a Delta Lake table."""
