"""Which proxy stands before a URL: the one place that asks the environment for it."""

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

_PORTS = {"http": 80, "https": 443}


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


def proxy_of(url: str) -> str:
    """The proxy that the environment has for a URL of http or https, as a URL; empty if there is none.

    What is meant for this machine does not leave it.
    """
    proxies = getproxies()
    found = proxies.get(urlsplit(url).scheme) or proxies.get("all") or ""
    host, port = address(url)
    if not found or is_loopback(host) or proxy_bypass(f"{host}:{port}"):
        return ""
    return found if "://" in found else f"http://{found}"
