"""The machine behind a URL: whether it is this one, and the way there."""

import asyncio
import ipaddress
import socket
from asyncio.staggered import staggered_race
from functools import partial
from typing import Any
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
_HEAD_START = 0.25  # seconds that an address has before the next one is tried as well (RFC 8305, section 8)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address(url: str) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]


async def reach(host: str, port: int) -> socket.socket:
    """A socket to the first of a host's addresses that answers; one that says nothing holds up the next but shortly.

    What asyncio has for that (`happy_eyeballs_delay`) uvloop has not.
    """
    loop = asyncio.get_running_loop()

    async def attempt(family: int, kind: int, protocol: int, address: tuple[Any, ...]) -> socket.socket:
        reaching = socket.socket(family, kind, protocol)
        try:
            reaching.setblocking(False)  # noqa: FBT003 - that is its signature
            await loop.sock_connect(reaching, address)
        except BaseException:
            reaching.close()
            raise
        return reaching

    name = host.encode() if host.isascii() else host  # for text Python loads tables of Unicode
    found = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    attempts = [partial(attempt, family, kind, protocol, address) for family, kind, protocol, _, address in found]
    reached: socket.socket | None
    reached, _, errors = await staggered_race(attempts, _HEAD_START)
    if reached is None:
        raise next(filter(None, reversed(errors)))
    return reached
