"""What a token is asked for with: where settings, endpoints and OAuth meet."""

from eventbridge_cli.delivery.oauth import Credentials
from eventbridge_cli.endpoints import Endpoints
from eventbridge_cli.errors import ConfigurationError
from eventbridge_cli.settings import Settings


def credentials(settings: Settings, where: Endpoints, *, to_ingest: bool) -> Credentials:
    """What the token is asked for with.

    Args:
        settings: the resolved settings.
        where: the endpoints that they give.
        to_ingest: whether an ingest endpoint is needed as well.

    Raises:
        ConfigurationError: names everything that is missing, all at once.
    """
    secret = settings.secret() or settings.access_token
    needs_token = settings.access_token is None
    needed = {
        "GENESYS_ENV": (where.ingest_url or not to_ingest) and (where.token_url or not needs_token),
        "GENESYS_CLIENT_ID": settings.client_id or not needs_token,
        "GENESYS_CLIENT_SECRET (or GENESYS_CLIENT_SECRET_FILE)": secret,
    }
    missing = [name for name, there in needed.items() if not there]
    if missing or secret is None:
        raise ConfigurationError(
            f"These settings are missing: {', '.join(missing)}.",
            "Set them in the environment or in a file .env; .env.example shows all. "
            "To try the tool without a platform: ebingest ingest FILE --sandbox",
        )
    return Credentials(
        where.token_url, settings.client_id or "", secret, settings.scope, where.region, settings.access_token
    )
