"""Readings in a Delta Lake table, in a folder on a disk or in a bucket. Many processes can use it at once."""
