"""What TLS certificates are checked against."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from eventbridge_cli.errors import ConfigurationError


def certificates() -> ssl.SSLContext:
    """What certificates are checked against: it takes 20 ms to load, and plain http has no need of it.

    Raises:
        ConfigurationError: those that the environment names can't be read.
    """
    with _remedy():
        return httpx.create_ssl_context()


def check_certificates() -> None:
    """Say at once that a name is wrong, even where TLS is never spoken.

    Raises:
        ConfigurationError: as `certificates`.
    """
    if named := os.environ.get("SSL_CERT_FILE"):
        with _remedy():
            Path(named).open("rb").close()


@contextmanager
def _remedy() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"The certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be read: {error.strerror or error}.",
            "Give the path of a PEM file with SSL_CERT_FILE, or unset both.",
        ) from error
