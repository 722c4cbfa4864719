"""Export files in a bucket of S3 or of a server that speaks its protocol.

Each worker uploads its parts by itself, as objects beside the files' prefix; the last step puts
them together inside the bucket, by a multipart upload whose parts are copied there.
"""

from __future__ import annotations

import io
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from typing import IO, Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage

from exports.stores.base import ExportStore, Look, Piece, StoredPart
from exports.stores.multipart import Slice, UploadPart, upload_parts
from exports.stores.ranges import RangeReader, blocks, fetch_of

_UPLOADS_AT_ONCE = 4
_DELETED_AT_ONCE = 1000
_UNFINISHED = ".parts"
_UPLOAD = TransferConfig(multipart_threshold=64 * 2**20, max_concurrency=2)


class S3Store(ExportStore):
    """The store behind ``s3://bucket/prefix``."""

    def __init__(self, storage: S3Storage) -> None:
        self._storage = storage
        self._bucket: str = storage.bucket_name
        self._prefix: str = storage.location.strip("/")

    @cached_property
    def _client(self) -> Any:
        # The storage keeps one for each thread, and making one costs 0.1 s of processor time. Threads may
        # share a client: those that live for one upload only use their caller's.
        return self._storage.connection.meta.client

    def put_part(self, name: str, chunks: Iterable[bytes]) -> StoredPart:
        """See :meth:`ExportStore.put_part`. The bytes wait on the worker's own disk until they are whole."""
        with tempfile.TemporaryFile() as file:
            size = sum(file.write(chunk) for chunk in chunks)
            file.seek(0)
            self._client.upload_fileobj(file, self._bucket, self._part_key(name), Config=_UPLOAD)
        return StoredPart(name, size)

    def join(self, location: str, pieces: Sequence[Piece], *, attempt: str, look: Look) -> None:
        """See :meth:`ExportStore.join`. An upload shows nothing before it is completed."""
        key = self._key(location)
        upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=key)["UploadId"]
        try:
            with ThreadPoolExecutor(_UPLOADS_AT_ONCE) as pool:
                sent = [
                    pool.submit(self._send, key, upload, number, part)
                    for number, part in enumerate(upload_parts(pieces), start=1)
                ]
                try:
                    for piece in pieces:
                        for chunk in self._chunks(Slice(piece, 0, _size(piece))):
                            look(chunk)
                except BaseException:
                    pool.shutdown(cancel_futures=True)
                    raise
            self._complete(key, upload, [part.result() for part in sent], pieces)
        except BaseException:
            self._abort(key, upload)
            raise

    def open(self, location: str, size: int) -> IO[bytes]:
        """See :meth:`ExportStore.open`."""
        fetch = fetch_of(self._client, self._bucket, self._key(location))
        return io.BufferedReader(RangeReader(fetch, size), 256 * 1024)

    def presigned_url(self, location: str, media_type: str, good_for: timedelta) -> str:
        """See :meth:`ExportStore.presigned_url`. It takes ranges, as every GET of S3 does."""
        name = location.rpartition("/")[2]
        url: str = self._storage.url(
            location,
            parameters={
                "ResponseContentDisposition": f'attachment; filename="{name}"',
                "ResponseContentType": media_type,
            },
            expire=int(good_for.total_seconds()),
        )
        return url

    def unfinished(self) -> Iterator[uuid.UUID]:
        """See :meth:`ExportStore.unfinished`."""
        found = {key.removeprefix(self._part_key("")) for key in self._keys(self._part_key(""))}
        for root in (self._part_key(""), self._key("")):
            found |= {upload["Key"].removeprefix(root) for upload in self._uploads(root)}
        for name in {key.partition("/")[0] for key in found}:
            # What else lies in the bucket is somebody else's.
            with suppress(ValueError):
                yield uuid.UUID(name)

    def remove_unfinished(self, request: uuid.UUID) -> None:
        """See :meth:`ExportStore.remove_unfinished`. Uploads that were abandoned are aborted."""
        folders = (self._part_key(f"{request}/"), self._key(f"{request}/"))
        for folder in folders:
            for upload in self._uploads(folder):
                self._abort(upload["Key"], upload["UploadId"])
        self._delete(list(self._keys(folders[0])))

    def remove_files(self, request: uuid.UUID, *, but: str | None = None) -> None:
        """See :meth:`ExportStore.remove_files`."""
        kept = but and self._key(but)
        self._delete([key for key in self._keys(self._key(f"{request}/")) if key != kept])

    def probe(self) -> None:
        """Raises what boto3 raises when the bucket is not there or not ours."""
        self._client.head_bucket(Bucket=self._bucket)

    def _send(self, key: str, upload: str, number: int, part: UploadPart) -> dict[str, Any]:
        call = {"Bucket": self._bucket, "Key": key, "UploadId": upload, "PartNumber": number}
        if part.copied:
            [cut] = part.slices
            assert isinstance(cut.piece, StoredPart)  # bytes are never copied
            source = {"Bucket": self._bucket, "Key": self._part_key(cut.piece.name)}
            answer = self._client.upload_part_copy(
                **call, CopySource=source, CopySourceRange=f"bytes={cut.start}-{cut.end - 1}"
            )["CopyPartResult"]
        else:
            body = b"".join(chunk for cut in part.slices for chunk in self._chunks(cut))
            answer = self._client.upload_part(**call, Body=body)
        return {"ETag": answer["ETag"], "PartNumber": number}

    def _chunks(self, cut: Slice) -> Iterator[bytes]:
        if isinstance(cut.piece, bytes):
            yield cut.piece[cut.start : cut.end]
            return
        fetch = fetch_of(self._client, self._bucket, self._part_key(cut.piece.name))
        yield from blocks(fetch, cut.start, cut.end)

    def _complete(
        self, key: str, upload: str, parts: list[dict[str, Any]], pieces: Sequence[Piece]
    ) -> None:
        try:
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        except ClientError as error:
            # It was completed, and the answer that said so was lost: the call was made again.
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
        size = self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        if size != sum(map(_size, pieces)):
            raise OSError(f"{key} has {size} bytes where {sum(map(_size, pieces))} were joined.")

    def _abort(self, key: str, upload: str) -> None:
        with suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)

    def _uploads(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            yield from page.get("Uploads", ())

    def _delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            batch = [{"Key": key} for key in keys[start : start + _DELETED_AT_ONCE]]
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": batch})
            for refused in answer.get("Errors", ()):
                raise OSError(f"{refused['Key']} is not removed: {refused.get('Message')}")

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _part_key(self, name: str) -> str:
        # Beside the files' prefix, so that whoever lists the files never sees it.
        return f"{self._prefix}{_UNFINISHED}/{name}"

    def _keys(self, prefix: str) -> Iterator[str]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            yield from (entry["Key"] for entry in page.get("Contents", ()))


def _size(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.size
