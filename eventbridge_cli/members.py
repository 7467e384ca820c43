"""The members of a JSON object, each with its own text: digits, escapes and spacing stay as they are."""

from msgspec import Raw
from msgspec.json import Decoder

members_of = Decoder(dict[str, Raw]).decode
"""The members by name; of two with one name the last counts. A lone surrogate, even as an escape, is an error."""
