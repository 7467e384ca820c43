"""What targets are called, whether or not they could be opened here."""

import sys
from urllib.parse import urlsplit

import pytest

from eventbridge_cli.lake.names import name_of


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("file:///data/lake/", "file:///data/lake"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("kafka://host/topic", "kafka://host:9092/topic"),
        ("https://lake.example.com/in", "https://lake.example.com/in"),
        ("https://lake.example.com/in?code=k3y", "https://lake.example.com/in?144ab215"),
    ],
)
def test_a_name_takes_no_library_and_no_secret(monkeypatch: pytest.MonkeyPatch, url: str, name: str) -> None:
    """What waits for a target can be named where nothing can be handed to it."""
    for module in ("obstore", "confluent_kafka"):
        monkeypatch.setitem(sys.modules, module, None)
    assert name_of(urlsplit(url)) == name
