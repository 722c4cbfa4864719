"""A push works with servers that refuse folders, renaming, file sizes or names with a leading dot."""

from __future__ import annotations

import paramiko
import pytest
from paramiko.sftp import SFTP_EOF, SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_OK

from exports.delivery import push
from exports.delivery.push_connection import (
    MAX_MESSAGE_LENGTH,
    PushClient,
    RefusedError,
    printable,
)
from exports.delivery.push_error import PushError
from exports.models import (
    MAX_REASON_LENGTH,
    Delivery,
    DeliveryState,
    FolderLayout,
    PushTarget,
    TemporaryName,
)
from tests.exports.delivery.conftest import attempt, received_files
from tests.exports.delivery.sftp_receiver import Receiver
from tests.suppliers import file_path


def content(delivery: Delivery) -> bytes:
    return file_path(delivery.request.location).read_bytes()


def flat_name(delivery: Delivery) -> str:
    """Return the file's name without a folder of its request."""
    return delivery.request.location.replace("/", "-")


def set_options(layout: FolderLayout, temporary_name: TemporaryName) -> None:
    PushTarget.objects.update(layout=layout, temporary_name=temporary_name)


@pytest.mark.parametrize(
    ("layout", "temporary_name"),
    [(layout, name) for layout in FolderLayout for name in TemporaryName],
)
def test_every_option_delivers_the_file(
    delivery: Delivery, receiver: Receiver, layout: FolderLayout, temporary_name: TemporaryName
) -> None:
    set_options(layout, temporary_name)
    assert attempt(delivery).startswith(f"Uploaded {delivery.request.size} bytes to ")
    assert delivery.state == DeliveryState.DELIVERED
    is_flat = layout == FolderLayout.FLAT
    name = flat_name(delivery) if is_flat else delivery.request.location
    assert received_files(receiver) == {name: content(delivery)}
    assert receiver.renames == (0 if temporary_name == TemporaryName.NONE else 1)


def test_a_server_that_refuses_everything_but_writing_receives_the_file(
    delivery: Delivery, receiver: Receiver
) -> None:
    set_options(FolderLayout.FLAT, TemporaryName.NONE)
    receiver.refused = {"mkdir", "rename", "remove", "stat", "list", "dot"}
    outcome = attempt(delivery)
    assert outcome.endswith("The server does not report file sizes, so the size was not verified.")
    assert delivery.state == DeliveryState.DELIVERED
    assert received_files(receiver) == {flat_name(delivery): content(delivery)}


def test_a_server_without_sizes_receives_the_file_again_after_an_interrupted_attempt(
    delivery: Delivery, receiver: Receiver
) -> None:
    receiver.refused = {"stat"}
    receiver.abort_after_bytes = 10_000
    attempt(delivery)
    receiver.abort_after_bytes = None
    # The folder is there now, and the server neither tells this nor creates it again.
    receiver.refused = {"stat", "mkdir"}
    attempt(delivery)
    assert received_files(receiver) == {delivery.request.location: content(delivery)}


@pytest.mark.parametrize(
    ("refused", "hint"),
    [
        ({"mkdir"}, "set the target's layout"),
        ({"mkdir", "stat"}, "set the target's layout"),
        ({"rename"}, "temporary name to “none”"),
        ({"dot"}, "select another temporary name"),
    ],
)
def test_the_outcome_has_the_servers_message_and_names_the_option(
    delivery: Delivery, receiver: Receiver, refused: set[str], hint: str
) -> None:
    receiver.refused, receiver.refusal = refused, "denied by rule 7"
    outcome = attempt(delivery)
    assert "The server says: denied by rule 7. If it" in outcome
    assert hint in outcome
    assert delivery.state == DeliveryState.PENDING


@pytest.mark.parametrize(
    ("refused", "layout", "temporary_name"),
    [
        ({"mkdir"}, FolderLayout.FLAT, TemporaryName.HIDDEN),
        ({"rename"}, FolderLayout.PER_REQUEST, TemporaryName.NONE),
        ({"dot"}, FolderLayout.PER_REQUEST, TemporaryName.SUFFIX),
    ],
)
def test_the_next_attempt_with_the_option_delivers_and_removes_the_part_file(
    delivery: Delivery,
    receiver: Receiver,
    refused: set[str],
    layout: FolderLayout,
    temporary_name: TemporaryName,
) -> None:
    receiver.refused = refused
    attempt(delivery)
    set_options(layout, temporary_name)
    attempt(delivery)
    assert delivery.state == DeliveryState.DELIVERED
    assert list(received_files(receiver).values()) == [content(delivery)]
    assert not any(".part" in name for name in received_files(receiver))


def test_a_part_file_is_removed_even_if_the_file_is_there_already(
    delivery: Delivery, receiver: Receiver
) -> None:
    attempt(delivery)
    final = receiver.folder / delivery.request.location
    (final.parent / f".{final.name}.part").write_bytes(b"part")
    (receiver.folder / f"{flat_name(delivery)}.part").write_bytes(b"part")
    Delivery.objects.update(state=DeliveryState.PENDING)
    assert attempt(delivery) == "The file was already there."
    assert list(received_files(receiver)) == [delivery.request.location]


def test_a_partial_file_under_the_final_name_is_replaced(
    delivery: Delivery, receiver: Receiver
) -> None:
    set_options(FolderLayout.FLAT, TemporaryName.NONE)
    receiver.abort_after_bytes = 10_000
    attempt(delivery)
    assert delivery.state == DeliveryState.PENDING
    receiver.abort_after_bytes = None
    receiver.refused = {"overwrite", "stat"}
    attempt(delivery)
    assert received_files(receiver) == {flat_name(delivery): content(delivery)}


def test_a_file_with_a_wrong_checksum_is_never_complete(
    delivery: Delivery, receiver: Receiver
) -> None:
    set_options(FolderLayout.FLAT, TemporaryName.NONE)
    stored = file_path(delivery.request.location)
    stored.write_bytes(stored.read_bytes()[:-1] + b"x")
    for _ in range(2):
        assert "does not have the checksum" in attempt(delivery)
        assert received_files(receiver) == {}


def test_a_file_that_the_server_refuses_when_it_is_closed_is_not_delivered(
    delivery: Delivery, receiver: Receiver
) -> None:
    receiver.refused, receiver.refusal = {"stat", "close"}, "quota exceeded"
    assert "Writing " in attempt(delivery)
    assert "The server says: quota exceeded." in attempt(delivery)
    assert delivery.state == DeliveryState.PENDING


def test_a_file_that_was_refused_under_its_final_name_is_sent_again(
    delivery: Delivery, receiver: Receiver
) -> None:
    set_options(FolderLayout.FLAT, TemporaryName.NONE)
    receiver.refused = {"close"}
    assert "Writing " in attempt(delivery)
    # It had its whole size, so the next attempt would have considered it complete.
    assert received_files(receiver) == {}
    receiver.refused = set()
    assert attempt(delivery).startswith("Uploaded ")
    assert received_files(receiver) == {flat_name(delivery): content(delivery)}


def test_a_long_message_with_control_characters_is_one_short_line(
    delivery: Delivery, receiver: Receiver
) -> None:
    PushTarget.objects.update(folder="/" + "f" * 200)
    receiver.refused, receiver.refusal = {"dot", "mkdir"}, "\x1b[31mno\r\n\tway\x00 " + "x" * 5000
    outcome = attempt(delivery)
    assert "The server says: [31mno way xxxx" in outcome
    assert outcome.isprintable()
    assert "x" * MAX_MESSAGE_LENGTH not in outcome
    assert len(outcome) < MAX_REASON_LENGTH
    assert outcome.endswith("“all files directly in the folder”.")


def test_a_refused_login_has_the_servers_message(delivery: Delivery, receiver: Receiver) -> None:
    receiver.banner = "Your account is locked.\r\n"
    receiver.accepted_key = receiver.host_key
    outcome = attempt(delivery)
    assert outcome.startswith("Authentication failed")
    assert outcome.endswith("The server says: Your account is locked.")


def test_a_closed_connection_has_the_servers_message(
    delivery: Delivery, receiver: Receiver
) -> None:
    receiver.farewell = "Too many sessions"
    assert attempt(delivery).endswith("The server says: Too many sessions.")
    assert delivery.state == DeliveryState.PENDING


def test_the_connection_test_accepts_a_server_that_lists_nothing(
    target: PushTarget, receiver: Receiver
) -> None:
    receiver.refused = {"list"}
    assert push.test_connection(target) == (
        "Logged in. The server does not list the folder /: no list here."
    )
    target.folder = "/missing"
    receiver.refused = set()
    with pytest.raises(PushError, match="The folder /missing does not exist: No such file"):
        push.test_connection(target)


def answer(code: int, text: bytes) -> paramiko.Message:
    """Return the status of an SFTP answer."""
    message = paramiko.Message()
    message.add_int(code)
    message.add_string(text)
    return paramiko.Message(message.asbytes())


def test_a_message_that_is_not_utf_8_is_shown_and_a_success_raises_no_error() -> None:
    client = PushClient.__new__(PushClient)
    client._convert_status(answer(SFTP_OK, b"\xfcbertragen"))
    with pytest.raises(RefusedError, match=r"^Zugriff für alle verweigert$") as refused:
        client._convert_status(answer(SFTP_FAILURE, b"Zugriff f\xfcr alle verweigert."))
    assert not refused.value.is_missing
    with pytest.raises(RefusedError, match=r"^No such file$") as missing:
        client._convert_status(answer(SFTP_NO_SUCH_FILE, b""))
    assert missing.value.is_missing
    with pytest.raises(RefusedError, match=r"^status 99$"):
        client._convert_status(answer(99, b"\x00"))
    with pytest.raises(EOFError):
        client._convert_status(answer(SFTP_EOF, b"end"))


def test_a_text_is_cut_to_its_limit() -> None:
    assert printable("a" * 10, 10) == "a" * 10
    assert printable("a" * 11, 10) == "a" * 9 + "…"
    assert printable("  right\u202eleft\n\n\tnext ") == "right left next"
