"""What a target of the data lake is called: its URL without secrets, always written the same way. Opens nothing."""

import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import url2pathname

from eventbridge_cli.errors import ConfigurationError

_SCHEMES = "file:, s3:, gs:, az:, kafka: or https:"
_KAFKA_PORT = 9092
_TOPIC = re.compile(r"[A-Za-z0-9._-]+")  # all that Kafka takes


def parts_of(url: str) -> SplitResult:
    """The parts of a URL that may be one of a target. What it says goes into no error before it is known to be safe.

    Raises:
        ConfigurationError: it can't be one.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise ConfigurationError(
            "The host of a URL of --sync can't be read.",
            "Mend it: it has a character that no host's name has, or brackets around what is no IPv6 address.",
        ) from error
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            f"The {parts.scheme}: URL of {host} holds a user name or password.",
            "Leave them out of the URL, and give credentials by their own settings.",
        )
    if parts.scheme not in {"file", "s3", "gs", "az", "kafka", "http", "https"}:
        hides = not {"?", "#", "@"}.isdisjoint(url)  # a key or a password, perhaps
        shown = f"{parts.scheme}:" if parts.scheme else "A URL without a scheme" if hides else url
        raise ConfigurationError(f"{shown} is no kind of data lake.", f"Give a URL that begins with {_SCHEMES}.")
    if parts.fragment or (parts.query and parts.scheme not in {"http", "https"}):
        raise ConfigurationError(
            f"The {parts.scheme}: URL of {host} goes on after a ? or #.", "Leave that out: only host and path count."
        )
    return parts


def name_of(parts: SplitResult) -> str:
    """The name of the target at a URL. It needs neither the target's library nor its credentials.

    Raises:
        ConfigurationError: the URL does not say which folder, bucket, brokers or topic.
    """
    if parts.scheme in {"http", "https"}:
        return _webhook(parts)
    if parts.scheme == "kafka":
        return _topic(parts)
    return folder_of(parts).as_uri() if parts.scheme == "file" else _bucket(parts)


def by_name(urls: Iterable[str]) -> dict[str, str]:
    """URLs by the names of the targets at them.

    Raises:
        ConfigurationError: one of them can't be a target's.
    """
    return {name_of(parts_of(url)): url for url in urls}


def folder_of(parts: SplitResult) -> Path:
    """The folder that a `file:` URL names.

    Raises:
        ConfigurationError: it names none of this machine.
    """
    folder = Path(url2pathname(parts.path))
    if parts.netloc not in {"", "localhost"} or not folder.is_absolute() or "\0" in str(folder):
        shown = parts.geturl() if parts.netloc else f"file:{parts.path}"  # geturl would add the three slashes
        raise ConfigurationError(
            f"{shown} names no folder of this machine.",
            "Give its whole path after three slashes, as in file:///data/lake.",
        )
    return folder


def _webhook(parts: SplitResult) -> str:
    """The URL with a digest in place of the query, so that two that differ in it alone have names of their own."""
    bare = parts._replace(query="").geturl()
    return f"{bare}?{sha256(parts.query.encode()).hexdigest()[:8]}" if parts.query else bare


def _bucket(parts: SplitResult) -> str:
    prefix = parts.path.strip("/")
    if not parts.netloc or (prefix and {"", ".", ".."} & set(prefix.split("/"))):
        raise ConfigurationError(
            f"{parts.geturl()} names no place in a bucket.", f"Write it as in {parts.scheme}://bucket/prefix."
        )
    return f"{parts.scheme}://{parts.netloc}/{prefix}".rstrip("/")


def _topic(parts: SplitResult) -> str:
    brokers = ",".join(_broker(parts, text) for text in parts.netloc.split(","))
    topic = parts.path.strip("/")
    if not _TOPIC.fullmatch(topic):
        raise ConfigurationError(
            f"{parts.geturl()} names no topic.", "Write it as in kafka://broker-1:9092,broker-2:9092/topic."
        )
    return f"kafka://{brokers}/{topic}"


def _broker(parts: SplitResult, text: str) -> str:
    """`text` as host and port."""
    try:
        broker = urlsplit(f"//{text}")
        host, port = broker.hostname, broker.port
    except ValueError:
        host, port = None, None
    if not host or not host.isprintable():
        raise ConfigurationError(
            f"{parts.geturl()} names no broker in {text!r}.",
            "Write it as in kafka://broker-1:9092,broker-2:9092/topic.",
        )
    return f"[{host}]:{port or _KAFKA_PORT}" if ":" in host else f"{host}:{port or _KAFKA_PORT}"
