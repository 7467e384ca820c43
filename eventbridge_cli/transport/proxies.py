"""Which proxy stands before a URL, the one place that asks the environment for it; and the way through it."""

import asyncio
import os
import re
import socket
from base64 import b64encode
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.transport.hosts import address, is_loopback
from eventbridge_cli.transport.message import head

_LAST_PORT = 65_535
_MOST_BYTES = 64 * 1024
_ANSWER = re.compile(rb"HTTP/1\.[01] ([0-9]{3} ?[^\r\n]*)\r?\n(?:[^\r\n]+\r?\n)*\r?\n")


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


async def tunnel(way: socket.socket, proxy: httpx.Proxy, host: str, port: int) -> None:
    """Have the proxy at the other end of `way` carry all that follows to a server (RFC 9110, section 9.3.6).

    Raises:
        httpx.ProxyError: it does not.
    """
    loop = asyncio.get_running_loop()
    authority = b"%b:%d" % (httpx.URL(scheme="https", host=host).netloc, port)
    headers = [(b"Host", authority)]
    if proxy.raw_auth is not None:
        headers.append((b"Proxy-Authorization", b"Basic " + b64encode(b":".join(proxy.raw_auth))))
    await loop.sock_sendall(way, head(b"CONNECT", authority, headers))
    said = b""
    while (answer := _ANSWER.match(said)) is None:
        data = await loop.sock_recv(way, _MOST_BYTES)
        said += data
        if not data or len(said) > _MOST_BYTES:
            raise httpx.ProxyError("the proxy gave no answer that is HTTP")
    if not answer[1].startswith(b"2"):
        raise httpx.ProxyError(answer[1].decode("latin-1"))
    if answer.end() < len(said):
        raise httpx.ProxyError("the proxy said more than that it would connect")


def _parsed(text: str) -> httpx.Proxy | None:
    try:
        proxy = httpx.Proxy(text if "://" in text else f"http://{text}")
    except (ValueError, httpx.InvalidURL):
        return None
    return proxy if proxy.url.host and (proxy.url.port or 0) <= _LAST_PORT else None
