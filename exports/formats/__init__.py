"""The formats of export files, by their name in the API."""

from __future__ import annotations

from exports.formats.base import FileFormat
from exports.formats.csv import CSV
from exports.formats.jsonl import JSONL
from exports.formats.parquet import PARQUET

FORMATS: dict[str, FileFormat] = {
    file_format.name: file_format for file_format in [CSV, JSONL, PARQUET]
}
