"""Ingestion as a shell script: the file is split, and curl posts the pieces.

No envelope is put around the lines, no copy is dropped and nothing is checked, which is all in the scripts' favour.
"""

from pathlib import Path

from target import Target

HEADERS = ("Content-Type: application/json", "Authorization: Bearer benchmark", "Expect:")

CURL_PARALLEL = r"""
set -e
split --lines 100 --suffix-length 5 "$1" body-
for body in body-*; do
    test -z "$later" || echo next
    later=yes
    printf 'url = "%s"\ndata-binary = "@%s"\noutput = /dev/null\n' "$2" "$body"
    printf 'header = "%s"\n' "$3" "$4" "$5"
done > requests
curl --silent --show-error --fail --parallel --parallel-max 5 --config requests
"""

XARGS_CURL = r"""
set -e
split --lines 100 --suffix-length 5 "$1" body-
printf '%s\n' body-* | xargs -P 5 -I '{}' \
    curl --silent --show-error --fail --output /dev/null \
        --header "$3" --header "$4" --header "$5" --data-binary '@{}' "$2"
"""


def command(script: str, lines: Path, target: Target) -> list[str | Path]:
    """A script that sends the lines to a server."""
    return ["sh", "-c", script, "sh", lines, target.ingest_url, *HEADERS]
