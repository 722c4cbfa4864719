"""How readings get into the repository: from the live fleet, from a backfill, and from files."""

READINGS_PER_WRITE = 600_000
"""About how many readings a backfill or an import writes at once: a second of work and about 80 MB of memory."""
