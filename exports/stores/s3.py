"""The export store in a bucket of S3, or of a server with S3's protocol.

Each worker uploads its parts as objects, outside the prefix of the files. The last step joins
them inside the bucket: it copies the parts into a multipart upload.
"""

from __future__ import annotations

import io
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

from exports.stores.base import (
    ExportStore,
    FileMissingError,
    OnBlock,
    Piece,
    StoredPart,
    piece_size,
)
from exports.stores.bucket_problem import bucket_problem
from exports.stores.multipart import Slice, UploadPart, upload_parts
from exports.stores.object_reader import ObjectReader, range_reader, read_blocks
from headend.config.aws_clients import calls_end_by, limit_calls

_PARALLEL_UPLOADS = 4
_CALL_SECONDS = 600.0
"""The time limit of one HTTP call in total. S3 itself may take minutes to complete a multipart upload."""
_CHECK_SECONDS = 20.0
_MAX_DELETED_KEYS = 1000
"""Keys in one call of DeleteObjects: S3's limit."""
_BUFFER_BYTES = 256 * 1024
_UNFINISHED = ".parts"
_UPLOAD = TransferConfig(multipart_threshold=64 * 2**20, max_concurrency=2)


class S3Store(ExportStore):
    """The store for ``s3://bucket/prefix``."""

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage
        self._bucket: str = storage.bucket_name
        self._prefix: str = storage.location.strip("/")

    @cached_property
    def _client(self) -> Any:
        # The storage has one client for each thread, and a new client takes 0.1 s of processor time. Threads
        # may share a client, so threads that exist only for one upload use the client of their caller.
        return limit_calls(self._storage.connection.meta.client, _CALL_SECONDS)

    def put_part(self, name: str, blocks: Iterable[bytes]) -> StoredPart:
        """See :meth:`ExportStore.put_part`. The part is complete on the worker's disk before it is uploaded."""
        with tempfile.TemporaryFile() as file:
            size = sum(file.write(block) for block in blocks)
            file.seek(0)
            self._client.upload_fileobj(file, self._bucket, self._part_key(name), Config=_UPLOAD)
        return StoredPart(name, size)

    def join(
        self, location: str, pieces: Sequence[Piece], *, attempt: str, on_block: OnBlock
    ) -> None:
        """See :meth:`ExportStore.join`. S3 shows the object when the upload is completed."""
        key = self._key(location)
        upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        try:
            with ThreadPoolExecutor(_PARALLEL_UPLOADS) as pool:
                sent = [
                    pool.submit(self._send, key, upload, number, part)
                    for number, part in enumerate(upload_parts(pieces), start=1)
                ]
                try:
                    for piece in pieces:
                        for block in self._blocks(Slice(piece, 0, piece_size(piece))):
                            on_block(block)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
            self._complete(key, upload, [part.result() for part in sent], pieces)
        except BaseException:
            self._abort(key, upload)
            raise

    def size(self, location: str) -> int:
        """See :meth:`ExportStore.size`."""
        return self._size(self._key(location))

    def open(self, location: str, size: int) -> io.BufferedReader:
        """See :meth:`ExportStore.open`."""
        read_range = range_reader(self._client, self._bucket, self._key(location))
        return io.BufferedReader(ObjectReader(read_range, size), _BUFFER_BYTES)

    def presigned_url(self, location: str, media_type: str, valid_for: timedelta) -> str:
        """See :meth:`ExportStore.presigned_url`. S3 serves ranges too."""
        name = location.rpartition("/")[2]
        url: str = self._storage.url(
            location,
            parameters={
                "ResponseContentDisposition": f'attachment; filename="{name}"',
                "ResponseContentType": media_type,
            },
            expire=int(valid_for.total_seconds()),
        )
        return url

    def unfinished_requests(self) -> Iterator[uuid.UUID]:
        """See :meth:`ExportStore.unfinished_requests`. Includes uploads that were not completed."""
        names = {key.removeprefix(self._part_key("")) for key in self._keys(self._part_key(""))}
        for root in (self._part_key(""), self._key("")):
            names |= {upload["Key"].removeprefix(root) for upload in self._uploads(root)}
        for folder in {name.partition("/")[0] for name in names}:
            # Other objects in the bucket are not ours.
            with suppress(ValueError):
                yield uuid.UUID(folder)

    def delete_unfinished(self, request: uuid.UUID) -> None:
        """See :meth:`ExportStore.delete_unfinished`. Aborts uploads that were not completed."""
        folders = (self._part_key(f"{request}/"), self._key(f"{request}/"))
        for folder in folders:
            for upload in self._uploads(folder):
                self._abort(upload["Key"], upload["UploadId"])
        self._delete(list(self._keys(folders[0])))

    def delete_files(self, request: uuid.UUID, *, keep: str | None = None) -> None:
        """See :meth:`ExportStore.delete_files`."""
        kept_key = keep and self._key(keep)
        self._delete([key for key in self._keys(self._key(f"{request}/")) if key != kept_key])

    def problem(self) -> str | None:
        """See :meth:`ExportStore.problem`. The server must answer within :data:`_CHECK_SECONDS`."""
        try:
            with calls_end_by(time.monotonic() + _CHECK_SECONDS):
                self.probe()
        except (BotoCoreError, ClientError, TimeoutError) as error:
            return bucket_problem(error)
        return None

    def probe(self) -> None:
        """Raise boto3's error if the bucket does not exist or access is denied."""
        self._client.head_bucket(Bucket=self._bucket)

    def _send(self, key: str, upload: str, number: int, part: UploadPart) -> dict[str, Any]:
        call = {"Bucket": self._bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        if part.copied:
            [copy] = part.slices
            assert isinstance(copy.piece, StoredPart)  # bytes in memory are never copied
            source = {"Bucket": self._bucket, "Key": self._part_key(copy.piece.name)}
            answer = self._client.upload_part_copy(
                **call, CopySource=source, CopySourceRange=f"bytes={copy.start}-{copy.end - 1}"
            )["CopyPartResult"]
        else:
            body = b"".join(
                block for part_slice in part.slices for block in self._blocks(part_slice)
            )
            answer = self._client.upload_part(**call, Body=body)
        return {"ETag": answer["ETag"], "PartNumber": number}

    def _blocks(self, part_slice: Slice) -> Iterator[bytes]:
        piece = part_slice.piece
        if isinstance(piece, bytes):
            yield piece[part_slice.start : part_slice.end]
            return
        read_range = range_reader(self._client, self._bucket, self._part_key(piece.name))
        yield from read_blocks(read_range, part_slice.start, part_slice.end)

    def _complete(
        self, key: str, upload: str, parts: list[dict[str, Any]], pieces: Sequence[Piece]
    ) -> None:
        try:
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except ClientError as error:
            # boto3 repeats the call if the answer was lost. Then the upload is already completed.
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
        size = self._size(key)
        expected = sum(map(piece_size, pieces))
        if size != expected:
            raise OSError(f"{key} has {size} bytes instead of the {expected} that were joined.")

    def _size(self, key: str) -> int:
        try:
            answer = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            # The answer to HEAD has no body, and so no other code.
            if error.response["Error"]["Code"] == "404":
                raise FileMissingError(f"{key} does not exist in the bucket.") from None
            raise
        return int(answer["ContentLength"])

    def _abort(self, key: str, upload: str) -> None:
        with suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    def _uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            yield from page.get("Uploads", ())

    def _delete(self, keys: list[str]) -> None:
        if self._client.meta.config.request_checksum_calculation == "when_required":
            # boto3 sends one of the newer checksums with DeleteObjects in any case, so delete one by one.
            for key in keys:
                self._client.delete_object(Bucket=self._bucket, Key=key)
            return
        for start in range(0, len(keys), _MAX_DELETED_KEYS):
            batch = [{"Key": key} for key in keys[start : start + _MAX_DELETED_KEYS]]
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": batch})
            for failed in answer.get("Errors", ()):
                raise OSError(f"{failed['Key']} was not deleted: {failed.get('Message')}")

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _part_key(self, name: str) -> str:
        # Outside the prefix of the files, so that a listing of the files does not show parts.
        return f"{self._prefix}{_UNFINISHED}/{name}"

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            yield from (entry["Key"] for entry in page.get("Contents", ()))
