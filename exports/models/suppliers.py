"""Suppliers, their keys, and the targets of their deliveries."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from exports.credentials import fingerprint, normalised_public_key
from exports.webhook_url import split_webhook_url

NOTHING_IS_SENT = "Nothing is sent while the supplier is inactive."
"""The message for an operator who tests a target of an inactive supplier."""


class Supplier(models.Model):
    """A company that calls the API and downloads files. Its name is its SFTP user name."""

    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[
            RegexValidator(
                r"^[a-z][a-z0-9_-]*\Z",
                "Use lower-case letters, digits, - and _, and start with a letter.",
            )
        ],
        help_text="Also the SFTP user name.",
    )
    active = models.BooleanField(
        default=True, help_text="An inactive supplier can use neither the API nor SFTP."
    )
    max_running = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="How many file requests may run at once. Empty: EXPORTS_RUNNING_PER_SUPPLIER.",
    )
    max_queued = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="How many file requests may be queued. Empty: EXPORTS_QUEUED_PER_SUPPLIER.",
    )
    can_remove_files = models.BooleanField(
        "can remove files over SFTP",
        default=False,
        db_default=False,
        help_text="A file that the supplier removes is deleted and cannot be restored.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_authenticated(self) -> bool:
        """Always True: Django REST framework uses the supplier as the user of an authenticated call."""
        return True


class ApiKey(models.Model):
    """A key of the REST API. Only its hash is stored; the key is shown once, when it is created."""

    supplier = models.ForeignKey(Supplier, on_delete=models.CASCADE, related_name="api_keys")
    label = models.CharField(max_length=64, blank=True)
    prefix = models.CharField(
        max_length=16, editable=False, help_text="The first characters of the key."
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"
        verbose_name_plural = "API keys"

    def __str__(self) -> str:
        return f"{self.prefix}…"


class SshKey(models.Model):
    """A public key with which the supplier logs in over SFTP."""

    supplier = models.ForeignKey(Supplier, on_delete=models.CASCADE, related_name="ssh_keys")
    label = models.CharField(max_length=64, blank=True)
    public_key = models.TextField(
        help_text="One line as in authorized_keys: ssh-rsa, ssh-ed25519 or ecdsa-sha2-nistp256/384/521."
    )
    fingerprint = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "SSH key"
        verbose_name_plural = "SSH keys"
        constraints = [
            models.UniqueConstraint(
                fields=["supplier", "fingerprint"], name="one_ssh_key_a_supplier"
            )
        ]

    def __str__(self) -> str:
        return self.fingerprint

    def clean(self) -> None:
        """Raise ``ValidationError`` for an invalid public key, and remove the comment of a valid one."""
        try:
            self.public_key = normalised_public_key(self.public_key)
        except ValueError as error:
            raise ValidationError({"public_key": str(error)}) from None
        self.fingerprint = fingerprint(self.public_key)


class FolderLayout(models.TextChoices):
    """Where a push puts the files on the supplier's server."""

    PER_REQUEST = "request", "one folder for each file request"
    FLAT = "flat", "all files directly in the folder"


class TemporaryName(models.TextChoices):
    """The name of a file while it is uploaded. Then it is renamed."""

    HIDDEN = "hidden", ".<name>.part"
    SUFFIX = "suffix", "<name>.part"
    NONE = "none", "none"


class PushTarget(models.Model):
    """The supplier's own SFTP server, to which completed files are pushed.

    The private key for the login is not stored here, but among the deployment's secrets.
    """

    supplier = models.OneToOneField(Supplier, on_delete=models.CASCADE, related_name="push_target")
    active = models.BooleanField(default=True)
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(
        default=22, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    user = models.CharField(max_length=64)
    host_key = models.TextField(
        help_text="The server's public key: one line as in known_hosts, without the host. No other key is accepted."
    )
    folder = models.CharField(max_length=500, default=".", help_text="An existing folder.")
    layout = models.CharField(
        max_length=16,
        choices=FolderLayout.choices,
        default=FolderLayout.PER_REQUEST,
        db_default=FolderLayout.PER_REQUEST,
        help_text="In the flat layout, the name of each file begins with the id of its request.",
    )
    temporary_name = models.CharField(
        max_length=16,
        choices=TemporaryName.choices,
        default=TemporaryName.HIDDEN,
        db_default=TemporaryName.HIDDEN,
        help_text="The name during the upload. With “none”, the supplier sees files before they are complete.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"

    def clean(self) -> None:
        """Raise ``ValidationError`` for an invalid public key, and remove the comment of a valid one."""
        try:
            self.host_key = normalised_public_key(self.host_key)
        except ValueError as error:
            raise ValidationError({"host_key": str(error)}) from None


class Webhook(models.Model):
    """The URL that is called when a file request gets a final status.

    The signing secret is not stored here, but among the deployment's secrets.
    """

    supplier = models.OneToOneField(Supplier, on_delete=models.CASCADE, related_name="webhook")
    active = models.BooleanField(default=True)
    url = models.URLField("URL", max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.url

    def clean(self) -> None:
        """Raise ``ValidationError`` for a URL that no call can use."""
        try:
            split_webhook_url(self.url)
        except ValueError as error:
            raise ValidationError({"url": str(error)}) from None
