"""What is said of both kinds of TXT record, where they share their grammar; the words are the same.

Rule for every editor: only what `txtrecord` judges belongs here; an id's rules stand in `record`, a rua's in `tlsrpt`.
"""

from collections.abc import Mapping
from enum import StrEnum

from sidecar.formats.txt_fields import FieldFault

TODO: Mapping[StrEnum, str] = {
    FieldFault.FOREIGN: "publish the record under its own name, beginning with its version",
    FieldFault.VERSION: "spell the version as the RFC does: its letters have case",
    FieldFault.QUOTED: "take the quotation marks out: they belong to a zone file, which joins its strings without them",
    FieldFault.ESCAPED: "take the backslashes out: the form of a DNS provider takes the text as it is, and so does a zone "
    "file between quotation marks",
    FieldFault.SEMICOLON: "let a semicolon follow the version, and the fields follow that",
    FieldFault.WHITE_SPACE: "leave spaces and tabs only beside a semicolon, or a comma of rua",
    FieldFault.OCTET: "keep to visible US-ASCII, on one line",
    FieldFault.EMPTY_FIELD: "leave one semicolon",
    FieldFault.FIELD: "write it as name=value without spaces, or take it out",
}
"""What to do about a fault that both records can have."""

LENIENT: Mapping[StrEnum, str] = {
    FieldFault.QUOTED: "no sender takes that",
    FieldFault.ESCAPED: "senders read the backslash as part of the text",
    FieldFault.WHITE_SPACE: "lenient senders may take it off, strict ones take the record for invalid",
    FieldFault.OCTET: "lenient senders may take it for white space, strict ones take the record for invalid",
    FieldFault.EMPTY_FIELD: "lenient senders skip it, strict ones take the record for invalid",
    FieldFault.FIELD: "lenient senders skip it, strict ones take the record for invalid",
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
