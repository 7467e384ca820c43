"""Where the platform is: from a domain, a region or a URL to the addresses of its token and ingest endpoints."""

import re
from urllib.parse import urlsplit

from msgspec import Struct

from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.excerpt import bare
from eventbridge_cli.settings import Settings
from eventbridge_cli.transport.hosts import is_loopback

REGIONS = {
    "mypurecloud.com": "us-east-1",
    "use2.us-gov-pure.cloud": "us-east-2",
    "usw2.pure.cloud": "us-west-2",
    "cac1.pure.cloud": "ca-central-1",
    "sae1.pure.cloud": "sa-east-1",
    "mxc1.pure.cloud": "mx-central-1",
    "mypurecloud.ie": "eu-west-1",
    "euw2.pure.cloud": "eu-west-2",
    "mypurecloud.de": "eu-central-1",
    "euc2.pure.cloud": "eu-central-2",
    "edee1.eusc-pure.cloud": "eusc-de-east-1",
    "mec1.pure.cloud": "me-central-1",
    "aps1.pure.cloud": "ap-south-1",
    "mypurecloud.jp": "ap-northeast-1",
    "apne2.pure.cloud": "ap-northeast-2",
    "apne3.pure.cloud": "ap-northeast-3",
    "apse1.pure.cloud": "ap-southeast-1",
    "mypurecloud.com.au": "ap-southeast-2",
}
"""The platform's domains and the AWS region of each, as the platform publishes them."""

_DOMAINS = {region: domain for domain, region in REGIONS.items()}
_MOST_OF_A_LABEL = 63
_ENVIRONMENT_REMEDY = "Give GENESYS_ENV a domain such as mypurecloud.de, an AWS region such as eu-central-1, or a URL."


class Endpoints(Struct, frozen=True):
    """Where to get a token and where to send events."""

    token_url: str
    ingest_url: str
    region: str


def endpoints(settings: Settings) -> Endpoints:
    """Where `settings` say the platform is.

    Raises:
        ConfigurationError: there is no such region, a URL is no URL, or it is plain http to another machine.
    """
    token_url, ingest_url = _default_urls(settings.env) if settings.env else ("", "")
    found = Endpoints(
        settings.token_url or token_url,
        settings.ingest_url or ingest_url,
        settings.env or "as given by its URL",
    )
    for url, given, name in (
        (found.token_url, settings.token_url, "GENESYS_TOKEN_URL"),
        (found.ingest_url, settings.ingest_url, "GENESYS_INGEST_URL"),
    ):
        if url:
            _check_url(url, f"Give {name} the whole URL, as in https://host/path." if given else _ENVIRONMENT_REMEDY)
    return found


def _default_urls(env: str) -> tuple[str, str]:
    name = env.strip().rstrip("/")
    domain = _DOMAINS.get(name.lower(), re.sub(r"^(https://)?((api|login|apps)\.)?", "", name.lower()))
    if domain in REGIONS:
        return f"https://login.{domain}/oauth/token", f"https://api.{domain}/api/v2/events/ingest"
    if "://" not in name:
        host = name.split(":")[0]
        if "." not in host and host != "localhost":
            raise ConfigurationError(f"GENESYS_ENV: {env} is no region that this version knows.", _ENVIRONMENT_REMEDY)
        name = f"https://{name}"
    if "?" in name or "#" in name:
        raise ConfigurationError(f"GENESYS_ENV: {_without_user(env)} has a query or a fragment.", _ENVIRONMENT_REMEDY)
    return f"{name}/login/oauth2/token", f"{name}/api/v2/events/ingest"


def _check_url(url: str, remedy: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or not _is_name(host):
        raise ConfigurationError(f"{_without_user(url)} is no URL of a server.", remedy)
    if parts.username or parts.password:
        raise ConfigurationError(
            f"The URL of {host} holds a user name or password.", "Give credentials by their own settings."
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigurationError(
            f"{bare(url)} would send the secret and customer data in the clear.",
            "Use https. Plain http is taken for this machine (127.0.0.1, ::1, localhost) alone.",
        )


def _is_name(host: str) -> bool:
    """Whether each label of a host's name has 1 to 63 characters (RFC 1035, section 2.3.4)."""
    return all(0 < len(label) <= _MOST_OF_A_LABEL for label in host.removesuffix(".").split("."))


def _without_user(url: str) -> str:
    """A URL, or what was meant for one, without what may be a password or a key in it."""
    return re.sub(r"//[^/]*@", "//", url).partition("?")[0]
