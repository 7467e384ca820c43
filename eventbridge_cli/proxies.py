"""Which proxy stands before a URL: the one place that asks the environment for it."""

import ipaddress
import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from msgspec import Struct

_PORTS = {"http": 80, "https": 443}


class Proxy(Struct, frozen=True):
    """The URL of a proxy, and the variable of the environment that holds it."""

    url: str
    variable: str


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


def proxy_of(url: str) -> Proxy | None:
    """The proxy that the environment has for a URL of http or https; nobody has looked whether it can be one.

    What is meant for this machine does not leave it.
    """
    proxies = getproxies()
    kind = next(filter(proxies.get, (urlsplit(url).scheme, "all")), None)
    host, port = address(url)
    if kind is None or is_loopback(host) or proxy_bypass(f"{host}:{port}"):
        return None
    found, variable = proxies[kind], f"{kind}_proxy"
    return Proxy(
        found if "://" in found else f"http://{found}", variable if variable in os.environ else variable.upper()
    )
