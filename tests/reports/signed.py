"""Signs messages as senders of reports do, and answers for the DNS where their keys are."""

import base64
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sidecar.observed import Kind, Question, Seen, Sight, Txt, Unseen

NOW = 1_764_000_000.0


def key(bits: int = 1_024) -> tuple[bytes, str]:
    """A private key in PEM, and the key record of its public half."""
    return _key(bits)


@cache
def _key(bits: int) -> tuple[bytes, str]:
    made = rsa.generate_private_key(65_537, bits)
    private = made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = made.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return private, f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"


def signed(
    message: bytes, domain: str = "sender.example", *, selector: str = "s1", bits: int = 1_024, **more: Any
) -> bytes:
    """The message with a DKIM signature before it."""
    headers = [b"from", b"to", b"subject"]
    signature: bytes = dkim.sign(
        message, selector.encode(), domain.encode(), key(bits)[0], include_headers=headers, **more
    )
    return signature + message


class Keys:
    """Stands for `Lookups.ask`: texts by name; None for a name on which the DNS is silent."""

    def __init__(self, records: Mapping[str, tuple[str, ...] | None] | None = None) -> None:
        self.records = {"s1._domainkey.sender.example": (key()[1],)} if records is None else dict(records)
        self.asked: list[Question] = []

    async def __call__(self, questions: Iterable[Question], deadline_s: float) -> dict[Question, Sight[Any]]:
        wanted = list(questions)
        self.asked += wanted
        answers: dict[Question, Sight[Any]] = {}
        for question in wanted:
            assert question.kind is Kind.TXT
            texts = self.records.get(question.name, ())
            answers[question] = Unseen("no answer", NOW) if texts is None else Seen(Txt(texts), NOW)
        return answers
