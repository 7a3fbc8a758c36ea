"""TLSA records of an MX host (RFC 7672): there or not, validated or not, and whether the certificate fits.

MTA-STS never overrides DANE: a sender that does both follows DANE where it can (RFC 8461 §2).
"""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sidecar.dns.answers import NoAnswer, Silence, Tlsa
from sidecar.formats.x509 import reading
from sidecar.observed.checks import Finding
from sidecar.verify import probe_codes as codes
from sidecar.verify.seen import MxSeen, MxTls, PresentedCertificate, TlsFailure

_DANE_EE = 3


def judge_dane(seen: MxSeen) -> tuple[Finding, ...]:
    """Findings about DANE for an MX host."""
    name = f"_25._tcp.{seen.host}"
    if isinstance(seen.tlsa, NoAnswer):
        if seen.tlsa.why is Silence.BOGUS:
            message = f"{seen.tlsa.reason}; senders that use DANE hold mail back"
            return (Finding.of(codes.DANE_BOGUS, name, message, "fix the DNSSEC signatures of the zone"),)
        return (Finding.of(codes.DANE_UNKNOWN, name, seen.tlsa.reason, "check again when the DNS answers"),)
    count = len(seen.tlsa.records)
    if not count:
        return (Finding.of(codes.DANE_NONE, name, "no TLSA record: no DANE, and MTA-STS does not need it"),)
    if not seen.tlsa.authentic:
        message = f"{count} TLSA records, not validated with DNSSEC: senders ignore them"
        return (
            Finding.of(codes.DANE_INSECURE, name, message, "sign the zone, or use a resolver that validates"),
        )
    # Only where all records are for the server's own certificate: DANE-TA (2) would need the chain, and PKIX usages
    # (0 and 1) are not for SMTP (RFC 7672 §3.1.3). Inside mailcow's network another certificate may be served.
    places = [
        probe.way.address
        for probe in seen.probes
        if isinstance(probe, MxTls | TlsFailure)
        and probe.way.instead_of is None
        and (shown := probe.certificate) is not None
        and all(record.usage == _DANE_EE and not _fits(record, shown) for record in seen.tlsa.records)
    ]
    if places:
        message = (
            f"none of {count} TLSA records fits the certificate at {', '.join(places)}: "
            "senders that use DANE refuse to deliver"
        )
        return (
            Finding.of(
                codes.DANE_MISMATCH, name, message, "publish a TLSA record for the certificate in use"
            ),
        )
    message = f"{count} TLSA records, validated with DNSSEC: senders that use DANE follow them"
    return (Finding.of(codes.DANE_VALIDATED, name, message),)


def _fits(record: Tlsa, shown: PresentedCertificate) -> bool:
    """Whether the record is for this certificate; what cannot be judged is assumed to fit."""
    match record.selector:
        case 0:
            octets = shown.der
        case 1:
            try:
                with reading():
                    key = x509.load_der_x509_certificate(shown.der).public_key()
                    octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            except ValueError:
                return True
        case _:
            return True
    match record.matching:
        case 0:
            return octets == record.data
        case 1:
            return hashlib.sha256(octets).digest() == record.data
        case 2:
            return hashlib.sha512(octets).digest() == record.data
        case _:
            return True
