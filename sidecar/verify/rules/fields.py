"""What is said of both kinds of TXT record, where they share their grammar; the words are the same.

Rule for every editor: only what `txtrecord` judges belongs here; an id's rules stand in `record`, a rua's in `tlsrpt`.
"""

from collections.abc import Mapping
from enum import StrEnum

from sidecar.formats.txt_fields import Fault

TODO: Mapping[StrEnum, str] = {
    Fault.FOREIGN: "publish the record under its own name, beginning with its version",
    Fault.VERSION: "spell the version as the RFC does: its letters have case",
    Fault.QUOTED: "take the quotation marks out: they belong to a zone file, which joins its strings without them",
    Fault.ESCAPED: "take the backslashes out: the form of a DNS provider takes the text as it is, and so does a zone "
    "file between quotation marks",
    Fault.SEMICOLON: "let a semicolon follow the version, and the fields follow that",
    Fault.WHITE_SPACE: "leave spaces and tabs only beside a semicolon, or a comma of rua",
    Fault.OCTET: "keep to visible US-ASCII, on one line",
    Fault.EMPTY_FIELD: "leave one semicolon",
    Fault.FIELD: "write it as name=value without spaces, or take it out",
}
"""What to do about a fault that both records can have."""

LENIENT: Mapping[StrEnum, str] = {
    Fault.QUOTED: "no sender takes that",
    Fault.ESCAPED: "senders read the backslash as part of the text",
    Fault.WHITE_SPACE: "lenient senders may take it off, strict ones take the record for invalid",
    Fault.OCTET: "lenient senders may take it for white space, strict ones take the record for invalid",
    Fault.EMPTY_FIELD: "lenient senders skip it, strict ones take the record for invalid",
    Fault.FIELD: "lenient senders skip it, strict ones take the record for invalid",
}
"""What senders do with a fault when they are more lenient than the RFC."""


def spaced(version: bytes) -> str:
    """What is said of white space before the first semicolon."""
    return (
        f"white space stands before the first semicolon: the grammar allows it, yet senders discard a record that "
        f"does not begin with '{version.decode()};'"
    )


def unknown(name: str) -> str:
    """What is said of an extension."""
    return f"the field {name} is unknown to the RFC; senders ignore it"
