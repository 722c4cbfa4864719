"""Readings in a table of a ClickHouse server."""
