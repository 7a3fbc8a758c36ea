"""All kinds of finding that need the network, in one table; those of the grammar are in `sidecar.verify.codes`.

Rule for every editor: a code keeps its name and its meaning. The severity here is the usual one; what is at stake
for a domain (`sidecar.verify.stakes`) may lower or raise it.
"""

from sidecar.observed.checks import Code, Severity
from sidecar.verify.codes import (
    BLOCKS_AUTHENTICATED,
    BLOCKS_COVERED,
    BLOCKS_COVERED_AND_AUTHENTICATED,
    BLOCKS_RECORD,
    BLOCKS_REPORTS,
    BLOCKS_SERVED,
    BREAKS_AUTHENTICATED,
    BREAKS_COVERED,
    BREAKS_RECORD,
    BREAKS_REPORTS,
    GRAVE_RECORD,
    GRAVE_REPORTS,
    GRAVE_SERVED,
    PROVES_AUTHENTICATED,
    PROVES_COVERED,
    PROVES_RECORD,
    PROVES_REPORTS,
    PROVES_SERVED,
)

_OK, _NOTICE, _UNKNOWN = Severity.OK, Severity.NOTICE, Severity.UNKNOWN
_WARNING, _ERROR, _CRITICAL = Severity.WARNING, Severity.ERROR, Severity.CRITICAL
_S31, _S32, _S33, _S41, _S42 = (f"RFC 8461 §{number}" for number in ("3.1", "3.2", "3.3", "4.1", "4.2"))

# --- _mta-sts.<domain> TXT
TXT_FOUND = Code("txt-found", _OK, _S31, "There is exactly one MTA-STS record.", PROVES_RECORD)
TXT_ALIAS = Code(
    "txt-alias", _OK, "RFC 8461 §8.2", "The MTA-STS record is reached through a CNAME, which is allowed."
)
TXT_NXDOMAIN = Code(
    "txt-nxdomain", _NOTICE, _S31, "The name of the MTA-STS record does not exist: no MTA-STS.", BREAKS_RECORD
)
TXT_NONE = Code(
    "txt-none", _NOTICE, _S31, "The name exists and has no MTA-STS record: no MTA-STS.", BREAKS_RECORD
)
TXT_SEVERAL = Code(
    "txt-several", _ERROR, _S31, "There are several MTA-STS records: senders act as with none.", GRAVE_RECORD
)
TXT_ALMOST = Code(
    "txt-almost", _ERROR, _S31, "A record resembles an MTA-STS record, but senders ignore it.", GRAVE_RECORD
)
TXT_MISPLACED = Code(
    "txt-misplaced", _WARNING, _S31, "The MTA-STS record is at another name than _mta-sts.<domain>."
)
TXT_WILDCARD = Code(
    "txt-wildcard", _NOTICE, "RFC 4592 §2.1.1", "Only a wildcard's TXT records answer for _mta-sts.<domain>."
)
TXT_SERVFAIL = Code(
    "txt-servfail", _UNKNOWN, _S31, "The resolver answered SERVFAIL for the MTA-STS record.", BLOCKS_RECORD
)
TXT_TIMEOUT = Code(
    "txt-timeout", _UNKNOWN, _S31, "The DNS did not answer in time for the MTA-STS record.", BLOCKS_RECORD
)
TXT_UNASKED = Code("txt-unasked", _UNKNOWN, _S31, "The MTA-STS record could not be queried.", BLOCKS_RECORD)
DNSSEC_VALIDATED = Code("dnssec-validated", _OK, "RFC 8461 §10.2", "The answer was validated with DNSSEC.")
DNSSEC_ABSENT = Code(
    "dnssec-absent", _OK, "RFC 8461 §10.2", "Not validated with DNSSEC, which MTA-STS does not need."
)
DNSSEC_BOGUS = Code(
    "dnssec-bogus",
    _ERROR,
    "RFC 4035 §4.3",
    "DNSSEC validation fails: senders that validate see nothing.",
    BREAKS_RECORD,
)

# --- https://mta-sts.<domain>/.well-known/mta-sts.txt
POLICY_FETCHED = Code(
    "policy-fetched", _OK, _S33, "The policy was fetched as a sender fetches it.", PROVES_SERVED
)
POLICY_INSIDE = Code(
    "policy-inside",
    _NOTICE,
    _S33,
    "The policy was fetched inside mailcow's network only: the public addresses were not checked.",
    BLOCKS_SERVED,
)
POLICY_HOST_MISSING = Code(
    "policy-host-missing", _ERROR, _S33, "The policy host has no address in the DNS.", GRAVE_SERVED
)
POLICY_HOST_UNKNOWN = Code(
    "policy-host-unknown", _UNKNOWN, _S33, "The DNS did not answer for the policy host.", BLOCKS_SERVED
)
POLICY_REFUSED = Code(
    "policy-refused", _UNKNOWN, _S33, "The policy host refused the connection from here.", BLOCKS_SERVED
)
POLICY_UNREACHABLE = Code(
    "policy-unreachable",
    _UNKNOWN,
    _S33,
    "No connection to the policy host could be made from here.",
    BLOCKS_SERVED,
)
POLICY_NO_ROUTE = Code(
    "policy-no-route",
    _UNKNOWN,
    _S33,
    "This machine has no route to an address of the policy host: whether senders can reach it is not known.",
    BLOCKS_SERVED,
)
POLICY_PRIVATE = Code(
    "policy-host-private",
    _WARNING,
    _S33,
    "The DNS resolver used here gives a private address for the policy host.",
    BLOCKS_SERVED,
)
POLICY_UNLIKE = Code(
    "policy-addresses-differ",
    _ERROR,
    _S33,
    "The addresses of the policy host serve different policies.",
    GRAVE_SERVED,
)
POLICY_UNASKED = Code("policy-unasked", _UNKNOWN, _S33, "The policy was not requested.", BLOCKS_SERVED)
POLICY_PROBE_FAILED = Code(
    "policy-look-failed",
    _UNKNOWN,
    _S33,
    "The check of the policy host failed within the sidecar.",
    BLOCKS_SERVED,
)
POLICY_TIMEOUT = Code(
    "policy-timeout",
    _ERROR,
    _S33,
    "The policy host takes longer than the minute that senders wait.",
    GRAVE_SERVED,
)
POLICY_BROKEN = Code(
    "policy-broken",
    _ERROR,
    _S33,
    "The policy host ends the connection without a complete HTTP answer.",
    GRAVE_SERVED,
)
POLICY_REDIRECT = Code(
    "policy-redirect", _ERROR, _S33, "The policy host redirects, which senders must not follow.", GRAVE_SERVED
)
POLICY_STATUS = Code(
    "policy-status", _ERROR, _S33, "The policy host answers with another status than 200.", GRAVE_SERVED
)
POLICY_MEDIA_TYPE = Code(
    "policy-media-type", _ERROR, _S33, "The policy is not served as text/plain.", GRAVE_SERVED
)
POLICY_TOO_LARGE = Code(
    "policy-too-large", _ERROR, _S33, "The policy is larger than the 64 KB that senders read.", GRAVE_SERVED
)
POLICY_CERT_EXPIRED = Code(
    "policy-cert-expired", _ERROR, _S33, "The policy host's certificate has expired.", GRAVE_SERVED
)
POLICY_CERT_NOT_YET = Code(
    "policy-cert-not-yet-valid", _ERROR, _S33, "The policy host's certificate is not valid yet.", GRAVE_SERVED
)
POLICY_CERT_NAME = Code(
    "policy-cert-name", _ERROR, _S33, "The policy host's name is not in its certificate.", GRAVE_SERVED
)
POLICY_CERT_SELF_SIGNED = Code(
    "policy-cert-self-signed", _ERROR, _S33, "The policy host's certificate is self-signed.", GRAVE_SERVED
)
POLICY_CERT_ISSUER = Code(
    "policy-cert-issuer",
    _ERROR,
    _S33,
    "The policy host's certificate has no issuer that senders trust.",
    GRAVE_SERVED,
)
POLICY_CERT_ENDING = Code("policy-cert-ending", _WARNING, _S33, "The policy host's certificate expires soon.")
POLICY_TLS_OLD = Code(
    "policy-tls-old", _ERROR, "RFC 8996 §1", "The policy host does not offer TLS 1.2 or later.", GRAVE_SERVED
)
POLICY_TLS_FAILED = Code(
    "policy-tls-failed", _ERROR, _S33, "The TLS handshake with the policy host fails.", GRAVE_SERVED
)

# --- what belongs together
POLICY_AS_MEANT = Code("policy-as-meant", _OK, _S32, "The policy served is the intended one.")
POLICY_DIFFERS = Code(
    "policy-differs", _ERROR, _S32, "The policy served is not the intended one.", GRAVE_SERVED
)
MX_COVERED = Code("mx-covered", _OK, _S41, "Every MX host matches a pattern of the policy.", PROVES_COVERED)
MX_UNCOVERED = Code(
    "mx-uncovered", _CRITICAL, _S41, "An MX host matches no pattern of the policy.", BREAKS_COVERED
)
MX_PATTERN_UNUSED = Code("mx-pattern-unused", _NOTICE, _S41, "A pattern of the policy matches no MX host.")
MX_NONE = Code(
    "mx-none",
    _NOTICE,
    "RFC 5321 §5.1",
    "There is no MX record: senders use the domain itself.",
    BREAKS_COVERED,
)
MX_NULL = Code(
    "mx-null", _NOTICE, "RFC 7505 §3", "A null MX says that the domain accepts no mail.", BREAKS_COVERED
)
MX_MANY = Code(
    "mx-many",
    _UNKNOWN,
    "RFC 5321 §5.1",
    "There are more MX hosts than are checked: the rest is unknown.",
    BLOCKS_COVERED_AND_AUTHENTICATED,
)
MX_ADDRESS = Code(
    "mx-address",
    _ERROR,
    "RFC 5321 §5.1",
    "An MX record names an IP address instead of a host: senders cannot deliver.",
    BLOCKS_AUTHENTICATED,
)
MX_UNKNOWN = Code(
    "mx-unknown", _UNKNOWN, "RFC 5321 §5.1", "The DNS did not answer for the MX records.", BLOCKS_COVERED
)

# --- MX hosts on port 25
MX_TLS = Code(
    "mx-tls",
    _OK,
    _S42,
    "The MX host offers STARTTLS with a certificate that senders trust.",
    PROVES_AUTHENTICATED,
)
MX_INSIDE = Code(
    "mx-inside",
    _NOTICE,
    _S42,
    "The MX host was probed inside mailcow's network only: its public addresses were not checked.",
    BLOCKS_AUTHENTICATED,
)
MX_HOST_MISSING = Code(
    "mx-host-missing", _ERROR, "RFC 5321 §5.1", "The MX host has no address in the DNS.", BLOCKS_AUTHENTICATED
)
MX_HOST_UNKNOWN = Code(
    "mx-host-unknown",
    _UNKNOWN,
    "RFC 5321 §5.1",
    "The DNS did not answer for the MX host.",
    BLOCKS_AUTHENTICATED,
)
MX_REFUSED = Code(
    "mx-refused", _UNKNOWN, _S42, "The MX host refused the connection from here.", BLOCKS_AUTHENTICATED
)
MX_UNREACHABLE = Code(
    "mx-unreachable",
    _UNKNOWN,
    _S42,
    "No connection to the MX host could be made from here.",
    BLOCKS_AUTHENTICATED,
)
MX_NO_ROUTE = Code(
    "mx-no-route",
    _UNKNOWN,
    _S42,
    "This machine has no route to an address of the MX host: its state there is not known.",
    BLOCKS_AUTHENTICATED,
)
MX_PRIVATE = Code(
    "mx-host-private",
    _WARNING,
    _S42,
    "The DNS resolver used here gives a private address for the MX host.",
    BLOCKS_AUTHENTICATED,
)
MX_UNASKED = Code("mx-unasked", _UNKNOWN, _S42, "The MX host was not probed.", BLOCKS_AUTHENTICATED)
MX_PROBE_FAILED = Code(
    "mx-look-failed",
    _UNKNOWN,
    _S42,
    "The check of the MX host failed within the sidecar.",
    BLOCKS_AUTHENTICATED,
)
MX_WONT_TALK = Code(
    "mx-wont-talk",
    _UNKNOWN,
    _S42,
    "The MX host was reached, but did not complete an SMTP conversation with us.",
    BLOCKS_AUTHENTICATED,
)
MX_REFUSES_US = Code(
    "mx-refuses-us",
    _UNKNOWN,
    _S42,
    "The MX host was reached, but refuses this address: how it treats others is not known.",
    BLOCKS_AUTHENTICATED,
)
MX_NO_STARTTLS = Code(
    "mx-no-starttls", _CRITICAL, _S42, "The MX host offers no STARTTLS.", BREAKS_AUTHENTICATED
)
MX_TLS_OLD = Code(
    "mx-tls-old",
    _CRITICAL,
    "RFC 8996 §1",
    "The MX host does not offer TLS 1.2 or later.",
    BREAKS_AUTHENTICATED,
)
MX_TLS_FAILED = Code(
    "mx-tls-failed", _CRITICAL, _S42, "The TLS handshake with the MX host fails.", BREAKS_AUTHENTICATED
)
MX_CERT_EXPIRED = Code(
    "mx-cert-expired", _CRITICAL, _S42, "The MX host's certificate has expired.", BREAKS_AUTHENTICATED
)
MX_CERT_NOT_YET = Code(
    "mx-cert-not-yet-valid",
    _CRITICAL,
    _S42,
    "The MX host's certificate is not valid yet.",
    BREAKS_AUTHENTICATED,
)
MX_CERT_NAME = Code(
    "mx-cert-name", _CRITICAL, _S42, "The MX host's name is not in its certificate.", BREAKS_AUTHENTICATED
)
MX_CERT_SELF_SIGNED = Code(
    "mx-cert-self-signed", _CRITICAL, _S42, "The MX host's certificate is self-signed.", BREAKS_AUTHENTICATED
)
MX_CERT_ISSUER = Code(
    "mx-cert-issuer",
    _CRITICAL,
    _S42,
    "The MX host's certificate has no issuer that senders trust.",
    BREAKS_AUTHENTICATED,
)
MX_CERT_ENDING = Code("mx-cert-ending", _WARNING, _S42, "The MX host's certificate expires soon.")

# --- _smtp._tls.<domain> TXT
_TLSRPT = "RFC 8460 §3"
TLSRPT_FOUND = Code("tlsrpt-found", _OK, _TLSRPT, "There is exactly one TLSRPT record.", PROVES_REPORTS)
TLSRPT_NONE = Code(
    "tlsrpt-none", _NOTICE, _TLSRPT, "There is no TLSRPT record: nobody reports failed TLS.", BREAKS_REPORTS
)
TLSRPT_SEVERAL = Code(
    "tlsrpt-several",
    _ERROR,
    _TLSRPT,
    "There are several TLSRPT records: senders act as with none.",
    GRAVE_REPORTS,
)
TLSRPT_ALMOST = Code(
    "tlsrpt-almost",
    _ERROR,
    _TLSRPT,
    "A record resembles a TLSRPT record, but senders ignore it.",
    GRAVE_REPORTS,
)
TLSRPT_UNKNOWN = Code(
    "tlsrpt-unknown", _UNKNOWN, _TLSRPT, "The DNS did not answer for the TLSRPT record.", BLOCKS_REPORTS
)

# --- DANE
DANE_VALIDATED = Code(
    "dane-validated", _OK, "RFC 7672 §2.2", "The MX host has TLSA records, validated with DNSSEC."
)
DANE_NONE = Code(
    "dane-none", _OK, "RFC 7672 §2.2", "The MX host has no TLSA record, which MTA-STS does not need."
)
DANE_INSECURE = Code(
    "dane-insecure", _NOTICE, "RFC 7672 §2.2", "TLSA records without DNSSEC, which senders ignore."
)
DANE_MISMATCH = Code(
    "dane-mismatch",
    _CRITICAL,
    "RFC 7672 §3.1.1",
    "The MX host's certificate matches none of its TLSA records.",
)
DANE_BOGUS = Code(
    "dane-bogus", _ERROR, "RFC 7672 §2.1.2", "DNSSEC validation fails for TLSA: DANE senders hold mail back."
)
DANE_UNKNOWN = Code(
    "dane-unknown", _UNKNOWN, "RFC 7672 §2.1.2", "The DNS did not answer for the TLSA records."
)

# --- CAA for mta-sts.<domain>
_CAA = "RFC 8659 §3"
CAA_NONE = Code("caa-none", _OK, _CAA, "No CAA record restricts who may issue for the policy host.")
CAA_ALLOWS = Code(
    "caa-allows", _OK, _CAA, "The CAA records allow Let's Encrypt to issue for the policy host."
)
CAA_FORBIDS = Code(
    "caa-forbids", _ERROR, _CAA, "The CAA records keep Let's Encrypt from issuing for the policy host."
)
CAA_OTHER = Code(
    "caa-other-issuer",
    _NOTICE,
    _CAA,
    "CAA forbids Let's Encrypt, and another issuer's certificate is in use.",
)
CAA_UNKNOWN = Code("caa-unknown", _UNKNOWN, _CAA, "The DNS did not answer for the CAA records.")

# --- the check itself
CHECK_FAILED = Code(
    "check-failed", _UNKNOWN, "RFC 8461 §5", "The check of the domain failed within the sidecar."
)
FINDINGS_MANY = Code(
    "findings-many",
    _NOTICE,
    "RFC 8461 §5",
    "More was found than is kept: the worst findings are shown, the rest are counted.",
)

ALL: tuple[Code, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Code))
"""In the order of the text above."""
