"""Object stores as data lake: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage, through obstore.

Credentials, region and endpoint come from each cloud's own environment variables, which obstore reads itself.
Its blocking calls are used, in a thread: the asynchronous ones let a thread of Rust touch Python after the last answer,
and a process that ends in that moment is aborted in place of giving its exit code (pyo3-async-runtimes, issue 40).
"""

import os
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store

from eventbridge_cli import __version__
from eventbridge_cli.errors import ConfigurationError, TargetError
from eventbridge_cli.facts import Batch
from eventbridge_cli.lake.names import name_of
from eventbridge_cli.lake.payload import Encoder, LakeObject
from eventbridge_cli.lake.thread import in_thread
from eventbridge_cli.transport.hosts import is_loopback

if TYPE_CHECKING:
    from obstore.store import RetryConfig

_MARKER = LakeObject("_ebingest", [b"Put here by ebingest, to see that it may write.\n"])
"""Readers of data lakes pass over names that begin with an underscore."""

# The worker that hands batches over retries; this is only for a connection that was lost while idle.
_RETRY: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
_STORES: dict[str, type[S3Store | GCSStore | AzureStore]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_IN_HEADERS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"),
    "gs": (),
    "az": ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_TOKEN"),
}
_PLAIN_HTTP = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}
_METADATA_SERVICE = re.compile("/latest/api/token|/latest/meta-data/|/computeMetadata/|/metadata/identity/")
"""Where the machine's own role is asked for, when there are no other credentials."""

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_SYSTEM_ERROR = re.compile(r'(?:message|error): "([^"\n]+)"')
_BAD_SCHEME = "BadScheme"
_CLIENT_ERRORS = {
    "TimedOut": "there was no answer in time",
    _BAD_SCHEME: "plain http is taken for this machine alone, unless it is asked for",
}
_URL = re.compile(r"https?://\S+")
_PASSING = {"408", "425", "429"}


class ObjectsTarget:
    """Puts one object for each date of a batch, unless it is there already.

    Args:
        parts: an `s3:`, `gs:` or `az:` URL; its host is the bucket or container, its path the prefix.
        encode: turns batches into objects.

    Raises:
        ConfigurationError: the URL names no bucket or an odd prefix, or the cloud's variables make no sense.
    """

    def __init__(self, parts: SplitResult, encode: Encoder) -> None:
        self.name = name_of(parts)
        self._scheme = parts.scheme
        self._encode = encode
        try:
            self._store = _store(parts.scheme, parts.netloc, parts.path.strip("/"))
        except (BaseError, ValueError, OSError) as error:
            raise ConfigurationError(
                f"{self.name} can't be opened: {_said(error)}.", f"Check {_CREDENTIALS[self._scheme]}."
            ) from error

    async def check(self) -> None:
        """Put a small object beside the data: it takes no other right than that to write.

        Raises:
            ConfigurationError: the bucket is not there or out of reach, or the credentials are refused.
        """
        try:
            await in_thread(lambda: self._place(_MARKER))
        except (BaseError, OSError) as error:
            raise ConfigurationError(
                f"{self.name} can't be written to: {_said(error)}.", self._remedy(error)
            ) from error

    async def put(self, batch: Batch) -> None:
        """Put what is not there yet.

        Raises:
            TargetError: the store refuses, which is permanent, or fails.
        """
        try:
            await in_thread(lambda: self._place_all(batch))
        except (BaseError, OSError) as error:
            raise TargetError(
                f"{self.name} did not take batch {batch.name}: {_said(error)}.",
                self._remedy(error),
                permanent=_is_permanent(error),
            ) from error

    def _place_all(self, batch: Batch) -> None:
        for each in self._encode(batch):
            self._place(each)

    def _place(self, each: LakeObject) -> None:
        try:
            self._store.put(each.path, each.data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return
        except NotImplementedError:  # AWS_CONDITIONAL_PUT=disabled, for servers without If-None-Match
            self._store.put(each.path, each.data, use_multipart=False)

    def _remedy(self, error: Exception) -> str:
        if isinstance(error, FileNotFoundError):
            return "Make the bucket or container, or mend its name in the URL."
        if isinstance(error, PermissionDeniedError | UnauthenticatedError) or _METADATA_SERVICE.search(str(error)):
            return f"Set {_CREDENTIALS[self._scheme]} to credentials that may put objects there."
        if _BAD_SCHEME in str(error):
            return f"Use https, or set {_PLAIN_HTTP[self._scheme]}=true."
        return "Check the network and the cloud's own variables, as for region and endpoint, then run again."

    async def aclose(self) -> None:
        """The store closes its connections itself."""


def _store(scheme: str, bucket: str, prefix: str) -> S3Store | GCSStore | AzureStore:
    for name in _IN_HEADERS[scheme]:
        if not os.environ.get(name, "").isprintable():  # the client would panic, which no handler of errors sees
            raise ValueError(f"{name} holds the end of a line, or another character that no header may")
    endpoint = next(filter(None, map(os.environ.get, _ENDPOINTS[scheme])), "")
    here = is_loopback(urlsplit(endpoint).hostname or "")
    # Said in any case: left to itself, the client of Google's takes plain http from everywhere.
    allow_http = "true" if here else os.environ.get(_PLAIN_HTTP[scheme]) or "false"
    # Not as client options: those would put aside what the environment says of proxies and certificates.
    config: Any = {"user_agent": f"ebingest/{__version__}", "allow_http": allow_http}
    return _STORES[scheme](bucket, prefix=prefix or None, config=config, retry_config=_RETRY)


def _is_permanent(error: Exception) -> bool:
    if isinstance(error, PermissionDeniedError | UnauthenticatedError | FileNotFoundError):
        return True
    status = _STATUS.search(str(error))
    return status is not None and status[1] < "500" and status[1] not in _PASSING


def _said(error: Exception) -> str:
    """What the store said, in a few words. Its full text may hold a signed URL."""
    text = str(error)
    if _METADATA_SERVICE.search(text):
        return "no credentials were found"
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        return f"HTTP {status[1]} {code[1]}" if code else f"HTTP {status[1]}"
    first_line = text.partition("\n")[0]
    if "HTTP error" in first_line:
        if root := _SYSTEM_ERROR.search(text):
            return root[1]
        for kind, meaning in _CLIENT_ERRORS.items():
            if kind in text:
                return meaning
    return _URL.sub("(URL)", first_line.rpartition(" - ")[2]).rstrip(".")
