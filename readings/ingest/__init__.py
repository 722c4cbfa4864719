"""How readings get into the repository: from the live fleet, from a backfill, and from files."""

READINGS_PER_WRITE = 500_000
"""About how many readings a backfill or an import writes at once: half a second of work and about 70 MB of memory."""
