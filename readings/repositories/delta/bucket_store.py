"""The bucket prefix of a Delta table: create, inspect and delete it."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from readings.repositories.delta.address import BucketAddress
from readings.repositories.delta.bucket import BucketFolder
from readings.repositories.delta.commit_log import LOG
from readings.repositories.delta.failures import unavailable_if_it_fails
from readings.repositories.delta.open_table import OpenTable
from readings.repositories.delta.store import OUR_FILE, OUR_FOLDER, refuse_other_files
from readings.repositories.same_server import is_same_host
from readings.repositories.store import Store

_AWS_HOST = re.compile(r"\.amazonaws\.com(?:\.cn)?$")


class BucketStore(Store):
    """The store of ``READINGS_URL=delta+s3://bucket/prefix``."""

    def __init__(self, address: BucketAddress) -> None:
        self._folder = BucketFolder(address)
        self.name = f"{address.bucket}/{address.prefix}"
        self.identity = f"delta+s3 {self.name} {address.endpoint_url or 'AWS'}"

    def is_same_place(self, other: Store) -> bool:
        """See :meth:`Store.is_same_place`. A server that no URL names is the one that boto3 finds."""
        if not isinstance(other, BucketStore) or self.name != other.name:
            return False
        ours, others = (urlsplit(store._folder.endpoint_url) for store in (self, other))
        # In AWS, each name of a bucket exists once. The same bucket has several endpoints.
        if all(_AWS_HOST.search(parts.hostname or "") for parts in (ours, others)):
            return True
        return _port(ours) == _port(others) and is_same_host(
            ours.hostname or "", others.hostname or ""
        )

    def exists(self) -> bool:
        """See :meth:`Store.exists`."""
        with unavailable_if_it_fails("The bucket cannot be read"):
            return bool(self._folder.names(LOG))

    def create(self) -> list[str]:
        """See :meth:`Store.create`. The bucket must exist and support conditional writes."""
        if self.exists():
            return [f"table {self.name}: exists already"]
        self._folder.check()
        OpenTable(self._folder, creates=True).newest()
        return [f"table {self.name}: created"]

    def size(self) -> int:
        """See :meth:`Store.size`. Old versions count too, until maintenance deletes them."""
        with unavailable_if_it_fails("The bucket cannot be read"):
            return sum(size for name, size in self._folder.contents() if OUR_FILE.fullmatch(name))

    def destroy(self) -> list[str]:
        """See :meth:`Store.destroy`. The log is deleted first, so no reader finds a table without its files."""
        with unavailable_if_it_fails("The readings cannot be deleted"):
            # Some servers also list folders, as empty objects.
            names = [
                name
                for name, size in self._folder.contents()
                if size > 0 or not OUR_FOLDER.fullmatch(name)
            ]
            others = [name for name in names if not OUR_FILE.fullmatch(name)]
            refuse_other_files(self.name, others, "Move them to another prefix first.")
            logs = [name for name in names if name.startswith(f"{LOG}/")]
            self._folder.remove(logs)
            self._folder.remove(name for name in names if not name.startswith(f"{LOG}/"))
        return [f"table {self.name}: {'deleted' if names else 'does not exist'}"]


def _port(endpoint: SplitResult) -> int:
    return endpoint.port or (443 if endpoint.scheme == "https" else 80)
