"""Readings in a Delta Lake table: in a folder on a disk, read and written by many processes at once."""
