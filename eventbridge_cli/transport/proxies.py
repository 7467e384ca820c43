"""Which proxy stands before a URL: the one place that asks the environment for it."""

import os
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.transport.hosts import address, is_loopback

_LAST_PORT = 65_535


def checked_proxy(url: str) -> httpx.Proxy | None:
    """The proxy that the environment has for a URL of http or https; what is meant for this machine does not leave it.

    Raises:
        ConfigurationError: it is none that can be spoken to.
    """
    proxies = getproxies()
    kind = next(filter(proxies.get, (urlsplit(url).scheme, "all")), None)
    host, port = address(url)
    if kind is None or is_loopback(host) or proxy_bypass(f"{host}:{port}"):
        return None
    proxy = _parsed(proxies[kind])
    variable = f"{kind}_proxy" if f"{kind}_proxy" in os.environ else f"{kind}_proxy".upper()
    if proxy is None:
        # It is not quoted, as it may hold a password.
        raise ConfigurationError(
            f"{variable} is no URL of a proxy that can be spoken to.",
            "Write it as in http://host:8080, unset it, or name in NO_PROXY what is reached without it.",
        )
    if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            f"{variable} names a SOCKS proxy, which takes socksio to speak to, and that is not installed.",
            "Install it with: pip install socksio. Or name a proxy that speaks HTTP.",
        )
    return proxy


def _parsed(text: str) -> httpx.Proxy | None:
    try:
        proxy = httpx.Proxy(text if "://" in text else f"http://{text}")
    except (ValueError, httpx.InvalidURL):
        return None
    return proxy if proxy.url.host and (proxy.url.port or 0) <= _LAST_PORT else None
