"""What is found in which world: one case or more for each code of `sidecar.verify.probe_codes`."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding
from dns.rcode import Rcode

from sidecar.formats.mtasts_policy import Mode
from sidecar.observed.checks import Severity
from tests.dns.faulty import LOOPBACK, Reply, Silence
from tests.verify.certificates import Kind, leaf
from tests.verify.internet import (
    DOMAIN,
    MX_HOST,
    NOWHERE,
    POLICY_HOST,
    SECOND,
    SHORT_S,
    Mail,
    Web,
    World,
    closed_port,
    meant,
)

TXT = f"_mta-sts.{DOMAIN}."
TLSRPT = f"_smtp._tls.{DOMAIN}."
TLSA = f"_25._tcp.{MX_HOST}."
OK, NOTICE, UNKNOWN = Severity.OK, Severity.NOTICE, Severity.UNKNOWN
WARNING, ERROR, CRITICAL = Severity.WARNING, Severity.ERROR, Severity.CRITICAL


@dataclass(frozen=True)
class Case:
    """In the world made by `change` there is a finding of this code with this severity."""

    code: str
    severity: Severity
    change: Callable[[World], object]
    words: str = ""
    """Part of the message or of the remedy."""
    name: str = ""
    todo: str = ""
    """Part of the remedy."""

    def __str__(self) -> str:
        return f"{self.code}{'-' if self.name else ''}{self.name}"


def setting(**values: object) -> Callable[[World], None]:
    """The change that sets these fields."""

    def change(world: World) -> None:
        for name, value in values.items():
            setattr(world, name, value)

    return change


def both(*changes: Callable[[World], object]) -> Callable[[World], None]:
    """All these changes."""

    def change(world: World) -> None:
        for one in changes:
            one(world)

    return change


def dns(name: str, kind: str, reply: Reply) -> Callable[[World], None]:
    """This reply in the DNS."""
    return lambda world: world.dns.__setitem__((name, kind), reply)


def txt(*records: str, name: str = TXT) -> Callable[[World], None]:
    """These TXT records."""
    return lambda world: world.txt(*records, name=name)


def moved(status: str, place: str) -> Callable[[World], None]:
    """A redirect to this place."""
    return setting(status=status, headers={"Location": place})


def policy_dns(kind: str) -> Callable[[World], None]:
    """The resolver fails for this kind of address of the policy host."""
    return dns(f"{POLICY_HOST}.", kind, Rcode.SERVFAIL)


def tlsa(data: bytes, usage: int = 3) -> Callable[[World], None]:
    """A TLSA record of the whole certificate's SHA-256."""
    return both(dns(TLSA, "TLSA", [f"{usage} 0 1 {data.hex()}"]), setting(authentic={TLSA}))


def own_sha256(kind: Kind = Kind.GOOD) -> bytes:
    """Of the certificate that the MX host serves."""
    return hashlib.sha256(leaf(kind, MX_HOST).public_bytes(Encoding.DER)).digest()


def caa(value: str) -> Callable[[World], None]:
    """A CAA record at the domain."""
    return dns(f"{DOMAIN}.", "CAA", [value])


def second(**values: object) -> Callable[[World], None]:
    """Both hosts have a second address, where this is different."""
    return lambda world: world.at_second(**values)


def put(name: str) -> Callable[[World], None]:
    """The record is at this name instead of its own."""
    return both(without_txt, txt("v=STSv1; id=1;", name=name))


def without_txt(world: World) -> None:
    """No MTA-STS record."""
    world.without(TXT)


WILDCARD = both(
    txt("v=spf1 -all"), txt("v=spf1 -all", name=f"_mta-sts-sidecar-asks-for-a-wildcard.{DOMAIN}.")
)
ONE_LINE = b"version: STSv1 mode: enforce max_age: 604800 mx: mail.example.test"
SIX_MX = "2001:db8::25"
SIX = both(dns(f"{MX_HOST}.", "AAAA", [SIX_MX]), dns(f"{POLICY_HOST}.", "AAAA", ["2001:db8::443"]))
HOME = both(dns(f"{MX_HOST}.", "A", ["192.168.1.25"]), dns(f"{POLICY_HOST}.", "AAAA", ["fd00::443"]))
TWELVE = [LOOPBACK, *(f"127.0.0.{number}" for number in range(10, 21))]
UNSEEN = setting(mail_tls=Kind.WRONG_NAME, status="500 Oh")
"""A certificate with another name, while the policy cannot be fetched."""
NOT_FOUND = setting(status="404 Not Found")
NO_SIX, AT_HOME = both(SIX, setting(only_loopback=True)), both(HOME, setting(only_loopback=True))
NO_PUBLIC_WEB = setting(probing={"https_port": closed_port()})
ALIAS = both(
    lambda world: world.without(TXT),
    dns(TXT, "CNAME", ["_mta-sts.hoster.test."]),
    txt("v=STSv1; id=1;", name="_mta-sts.hoster.test."),
)
MANY = both(
    setting(probing={"smtp_port": closed_port()}),
    dns(f"{DOMAIN}.", "MX", [f"{number} mx{number}.{DOMAIN}." for number in range(50)]),
)
FULL = b"version: STSv1\nmode: enforce\nmax_age: 604800\n" + b"".join(
    b"mx: %d.2.3.4\n" % number for number in range(3000)
)
CASES = (
    # --- TXT
    Case("txt-found", OK, setting(), "20260101"),
    Case("txt-found", OK, txt("v=spf1 -all", "v=STSv1; id=1;"), "id 1", name="others-ignored"),
    Case("txt-found", OK, txt('v=STSv1; " "id=77;'), "77", name="strings-joined"),
    Case("txt-found", OK, ALIAS, "id 1", name="behind-a-cname"),
    Case("txt-alias", OK, ALIAS, "_mta-sts.hoster.test"),
    Case(
        "txt-nxdomain",
        ERROR,
        without_txt,
        f"senders do not use MTA-STS for {DOMAIN}, though a policy is served",
        todo=f'publish _mta-sts.{DOMAIN} TXT "v=STSv1; id=',
    ),
    Case("txt-none", ERROR, txt("google-site-verification=x"), "other TXT records (1) are ignored"),
    Case("txt-none", ERROR, dns(TXT, "TXT", []), "has no", name="nodata"),
    Case("txt-several", ERROR, txt("v=STSv1; id=1;", "v=STSv1; id=2;"), "2 MTA-STS records"),
    Case("txt-almost", ERROR, txt("v=stsv1; id=1;"), "v=STSv1", name="wrong-case"),
    Case("txt-almost", ERROR, txt("v=STSv1 id=1"), "v=STSv1", name="no-semicolon"),
    Case("txt-misplaced", WARNING, both(txt(), txt("v=STSv1; id=1;", name=f"{DOMAIN}.")), "move it"),
    Case("txt-misplaced", WARNING, put(f"_mta_sts.{DOMAIN}."), "_mta_sts", name="underscores", todo="move"),
    Case("txt-misplaced", WARNING, put(f"{POLICY_HOST}."), f"at {POLICY_HOST}", name="policy-host"),
    Case("txt-misplaced", WARNING, put(f"{TXT}{DOMAIN}."), "enter _mta-sts alone", name="zone-twice"),
    Case("txt-nxdomain", NOTICE, both(without_txt, setting(meant=meant())), name="ours"),
    Case("txt-nxdomain", NOTICE, both(without_txt, setting(status="404 Not Found")), name="nothing-served"),
    Case("txt-wildcard", NOTICE, WILDCARD, "the wildcard can stay"),
    Case("txt-none", ERROR, WILDCARD, "though a policy is served", name="wildcard"),
    Case("record-escaped", ERROR, txt(r"v=STSv1\\; id=1\\;"), "remove the backslashes", name="zone-file"),
    Case("txt-servfail", UNKNOWN, dns(TXT, "TXT", Rcode.SERVFAIL), "SERVFAIL"),
    Case("txt-timeout", UNKNOWN, dns(TXT, "TXT", Silence.FOREVER), "did not answer"),
    Case("txt-unasked", UNKNOWN, dns(TXT, "TXT", Rcode.REFUSED), "REFUSED"),
    Case("dnssec-validated", OK, setting(authentic={TXT})),
    Case("dnssec-absent", OK, setting()),
    Case("dnssec-bogus", ERROR, setting(bogus={TXT}), "validation failed"),
    # --- policy
    Case("policy-fetched", OK, setting(), LOOPBACK),
    Case(
        "policy-fetched", OK, setting(headers={"Content-Type": "Text/Plain; charset=utf-8"}), name="charset"
    ),
    Case("policy-inside", NOTICE, setting(inside=True, ours=True), "refused"),
    Case("policy-host-missing", ERROR, lambda world: world.without("mta-sts."), "neither A nor AAAA"),
    Case("policy-host-unknown", UNKNOWN, both(policy_dns("A"), policy_dns("AAAA")), "SERVFAIL"),
    Case("policy-host-unknown", UNKNOWN, dns(f"{POLICY_HOST}.", "A", Silence.FOREVER), name="a-silent"),
    Case("policy-refused", UNKNOWN, NO_PUBLIC_WEB, "another network"),
    Case("policy-unreachable", UNKNOWN, dns(f"{POLICY_HOST}.", "A", [NOWHERE]), "another network"),
    Case("policy-unasked", UNKNOWN, setting(web=Web.HANG, probing={"domain_s": SHORT_S}), "busy"),
    Case("policy-timeout", ERROR, setting(web=Web.HANG, probing={"https_s": SHORT_S}), "no answer within"),
    Case("policy-broken", ERROR, setting(web=Web.CLOSE), "closed without an answer"),
    Case("policy-broken", ERROR, setting(headers={"Content-Length": "9000"}), "early", name="cut-off"),
    Case("policy-look-failed", UNKNOWN, setting(bug="verify.probes.policy.get"), "LookupError"),
    Case("policy-broken", ERROR, setting(body=b"", status="100 Continue"), "closed", name="interim-alone"),
    Case(
        "policy-redirect", ERROR, moved("301 Moved", "https://x.test/"), "x.test", todo="at this URL itself"
    ),
    Case(
        "policy-redirect", ERROR, moved("301 \x1b[2J", "http://\x1b]0;x\x07.test/"), name="escape-sequences"
    ),
    Case("policy-status", ERROR, NOT_FOUND, "404"),
    Case("policy-status", ERROR, setting(status="206 Partial Content"), "206", name="another-2xx"),
    Case("policy-media-type", ERROR, setting(headers={"Content-Type": "text/html"}), "text/html"),
    Case("policy-media-type", ERROR, setting(headers={}), "without", name="none"),
    Case("policy-too-large", ERROR, setting(body=b"x: y\n" * 20_000), "64 KB", todo="serve the policy alone"),
    Case("policy-cert-expired", ERROR, setting(web_tls=Kind.EXPIRED), "expired on "),
    Case("policy-cert-not-yet-valid", ERROR, setting(web_tls=Kind.NOT_YET), "not valid before "),
    Case("policy-cert-name", ERROR, setting(web_tls=Kind.WRONG_NAME), "it has elsewhere.test"),
    Case("policy-cert-name", ERROR, setting(web_tls=Kind.ONLY_COMMON_NAME), "none", name="common-name"),
    Case("policy-cert-self-signed", ERROR, setting(web_tls=Kind.SELF_SIGNED)),
    Case("policy-cert-issuer", ERROR, setting(web_tls=Kind.UNKNOWN_ISSUER), "issuer"),
    Case("policy-cert-ending", WARNING, setting(web_tls=Kind.ENDING), "expires on "),
    Case("policy-tls-old", ERROR, setting(web_tls=Kind.OLD), "protocol version"),
    Case("policy-tls-failed", ERROR, setting(web_tls=Kind.NONSENSE), "handshake"),
    Case("policy-tls-failed", ERROR, setting(web_tls=Kind.CLOSED), "closed the connection", name="closed"),
    Case("policy-mode", ERROR, setting(mode="enforced"), "enforced", name="grammar"),
    Case("policy-one-line", ERROR, setting(body=ONE_LINE), "a line of its own", name="pasted"),
    Case(
        "policy-one-line",
        ERROR,
        setting(body=ONE_LINE.replace(b" m", rb"\nm")),
        r"\n written",
        name="written",
    ),
    Case("policy-utf-16", ERROR, setting(body=ONE_LINE.decode().encode("utf-16")), "UTF-8", name="notepad"),
    Case("policy-mx-public-suffix", WARNING, setting(mx="*.com"), "your own MX hosts", name="com"),
    # --- match
    Case("policy-as-meant", OK, setting(meant=meant())),
    Case("policy-differs", ERROR, setting(meant=meant(Mode.TESTING)), "mode enforce instead of testing"),
    Case("mx-covered", OK, setting(), MX_HOST),
    Case("mx-covered", OK, setting(mx="*.example.test"), name="wildcard"),
    Case("mx-many", UNKNOWN, MANY, "50 MX hosts; only the 20 preferred"),
    Case("mx-uncovered", CRITICAL, setting(mx="mx.example.test"), MX_HOST),
    Case("mx-uncovered", CRITICAL, setting(mx="*.test"), name="wildcard-takes-one-label"),
    Case("mx-uncovered", WARNING, setting(mx="mx.example.test", mode="testing"), name="testing"),
    Case("mx-uncovered", CRITICAL, dns(f"{DOMAIN}.", "MX", []), DOMAIN, name="no-mx-is-the-domain"),
    Case("mx-pattern-unused", NOTICE, setting(mx="mx.example.test"), "mx.example.test"),
    Case("mx-none", NOTICE, dns(f"{DOMAIN}.", "MX", []), "itself"),
    Case("mx-none", NOTICE, lambda world: world.without(f"{DOMAIN}."), "does not exist", name="nxdomain"),
    Case("mx-null", NOTICE, dns(f"{DOMAIN}.", "MX", ["0 ."])),
    Case("mx-address", ERROR, dns(f"{DOMAIN}.", "MX", ["10 192.0.2.1."]), "mail.example.test A 192.0.2.1"),
    Case("mx-unknown", UNKNOWN, dns(f"{DOMAIN}.", "MX", Rcode.SERVFAIL), "SERVFAIL"),
    # --- MX hosts
    Case("mx-tls", OK, setting(), "Authority of the tests"),
    Case("mx-inside", NOTICE, setting(inside=True), "refused"),
    Case("mx-host-missing", ERROR, lambda world: world.without("mail."), "neither A nor AAAA"),
    Case("mx-host-unknown", UNKNOWN, dns(f"{MX_HOST}.", "A", Silence.FOREVER), "did not answer"),
    Case("mx-refused", UNKNOWN, setting(probing={"smtp_port": closed_port()}), "port 25 is often closed"),
    Case("mx-unreachable", UNKNOWN, dns(f"{MX_HOST}.", "A", [NOWHERE])),
    Case("mx-unasked", UNKNOWN, setting(probing={"smtp": False})),
    Case("mx-refuses-us", UNKNOWN, setting(mail=Mail.RUDE), "554 5.7.1 not you", todo="no reverse DNS"),
    Case("mx-wont-talk", UNKNOWN, setting(mail=Mail.OTHER_SERVICE), "SSH-2.0", todo="another network"),
    Case("mx-look-failed", UNKNOWN, setting(bug="verify.probes.smtp.peer_certificate"), "LookupError"),
    Case("mx-no-starttls", CRITICAL, setting(mail=Mail.PLAIN), "not offered", todo="enable STARTTLS"),
    Case("mx-no-starttls", CRITICAL, setting(mail=Mail.NOT_NOW), "454", name="refused"),
    Case("mx-no-starttls", CRITICAL, setting(mail=Mail.SLOW_GREETING), "not offered", name="slow-greeting"),
    Case("mx-no-starttls", WARNING, setting(mail=Mail.PLAIN, mode="testing"), name="testing"),
    Case("mx-no-starttls", NOTICE, setting(mail=Mail.PLAIN, mode="none"), name="none"),
    Case("mx-tls-old", CRITICAL, setting(mail_tls=Kind.OLD), "protocol version"),
    Case("mx-tls-failed", CRITICAL, setting(mail_tls=Kind.NONSENSE), "handshake"),
    Case("mx-tls-failed", CRITICAL, setting(mail_tls=Kind.CLOSED), "closed the connection", name="closed"),
    Case("mx-cert-expired", CRITICAL, setting(mail_tls=Kind.EXPIRED), "expired on ", todo="renew it"),
    Case("mx-cert-expired", WARNING, setting(mail_tls=Kind.EXPIRED, mode="testing"), name="testing"),
    Case("mx-cert-not-yet-valid", CRITICAL, setting(mail_tls=Kind.NOT_YET)),
    Case("mx-cert-name", CRITICAL, setting(mail_tls=Kind.WRONG_NAME), "it has elsewhere.test"),
    Case("mx-cert-self-signed", CRITICAL, setting(mail_tls=Kind.SELF_SIGNED)),
    Case("mx-cert-self-signed", CRITICAL, setting(mail_tls=Kind.UNREADABLE), name="unreadable"),
    Case("mx-tls", OK, setting(mail_tls=Kind.UNREADABLE_GOOD), "Authority of the", name="names-unreadable"),
    Case("mx-cert-issuer", CRITICAL, setting(mail_tls=Kind.UNKNOWN_ISSUER)),
    Case("mx-cert-ending", WARNING, setting(mail_tls=Kind.ENDING), "expires on "),
    # --- every address
    Case("mx-no-starttls", CRITICAL, second(mail=Mail.PLAIN), "(at 127.0.0.2)", name="at-one-address"),
    Case("mx-tls", OK, second(mail=Mail.PLAIN), "(at 127.0.0.1)", name="at-the-other-address"),
    Case("mx-tls", OK, second(), "(at 127.0.0.1, 127.0.0.2)", name="at-both-addresses"),
    Case("mx-cert-name", CRITICAL, second(mail_tls=Kind.WRONG_NAME), "(at 127.0.0.2)", name="at-one-address"),
    Case("mx-refused", UNKNOWN, dns(f"{MX_HOST}.", "A", [LOOPBACK, SECOND]), "remove", name="at-one-address"),
    Case("mx-no-route", UNKNOWN, NO_SIX, f"{SIX_MX} cannot be reached", todo="has one"),
    Case("mx-host-unknown", UNKNOWN, dns(f"{MX_HOST}.", "AAAA", Rcode.SERVFAIL), "AAAA", name="one-family"),
    Case("policy-host-unknown", UNKNOWN, policy_dns("AAAA"), name="one-family"),
    Case("mx-unasked", UNKNOWN, dns(f"{MX_HOST}.", "A", TWELVE), "8 of a host are probed", name="addresses"),
    Case("policy-status", ERROR, second(status="404 Not Found"), "(at 127.0.0.2)", name="at-one-address"),
    Case("policy-fetched", OK, second(status="404 Not Found"), "(at 127.0.0.1)", name="at-the-other-address"),
    Case("policy-cert-name", ERROR, second(web_tls=Kind.WRONG_NAME), SECOND, name="at-one-address"),
    Case(
        "policy-addresses-differ", ERROR, second(mode="testing"), "127.0.0.2: mode testing", todo="wrong one"
    ),
    Case("policy-no-route", UNKNOWN, NO_SIX, "no IPv6 route"),
    Case("mx-host-private", WARNING, AT_HOME, "address 192.168.1.25", todo="the public address"),
    Case("policy-host-private", WARNING, AT_HOME, "private address fd00::443"),
    Case("policy-inside", NOTICE, setting(inside=True, ours=True), f"{LOOPBACK} port", name="which-address"),
    # --- TLSRPT
    Case("tlsrpt-found", OK, setting(), "mailto:reports@elsewhere.test"),
    Case("tlsrpt-none", NOTICE, lambda world: world.without(TLSRPT)),
    Case(
        "tlsrpt-several",
        ERROR,
        txt("v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@d.test", name=TLSRPT),
    ),
    Case(
        "tlsrpt-almost",
        ERROR,
        txt("v=TLSRPT1; rua=mailto:a@b.test", "V=tlsrptv1; rua=mailto:a@b.test", name=TLSRPT),
    ),
    Case("tlsrpt-unknown", UNKNOWN, dns(TLSRPT, "TXT", Rcode.SERVFAIL), "SERVFAIL"),
    Case("tlsrpt-rua-missing", ERROR, txt("v=TLSRPTv1; x=y", name=TLSRPT), name="grammar"),
    # --- DANE
    Case("dane-none", OK, setting()),
    Case("dane-validated", OK, tlsa(own_sha256())),
    Case("dane-validated", OK, tlsa(b"\0" * 32, usage=2), name="an-authority-cannot-be-compared"),
    Case("dane-insecure", NOTICE, dns(TLSA, "TLSA", [f"3 1 1 {'00' * 32}"]), "senders ignore"),
    Case("dane-mismatch", CRITICAL, tlsa(b"\0" * 32), "refuse"),
    Case("dane-bogus", ERROR, setting(bogus={TLSA}), "hold mail back"),
    Case("dane-unknown", UNKNOWN, dns(TLSA, "TLSA", Rcode.SERVFAIL)),
    # --- CAA
    Case("caa-none", OK, setting()),
    Case("caa-allows", OK, caa('0 issue "letsencrypt.org"'), "letsencrypt.org"),
    Case("caa-other-issuer", NOTICE, caa('0 issue "ca.test"'), "Authority of the tests"),
    Case(
        "caa-forbids",
        ERROR,
        both(caa('0 issue "ca.test"'), setting(web_tls=Kind.WRONG_NAME)),
        "not letsencrypt",
    ),
    Case(
        "caa-forbids", NOTICE, both(caa('0 issue ";"'), txt(), setting(web_tls=Kind.EXPIRED)), name="not-seen"
    ),
    Case("caa-unknown", UNKNOWN, dns(f"{DOMAIN}.", "CAA", Rcode.SERVFAIL)),
    # --- the check itself
    Case("check-failed", UNKNOWN, setting(bug="verify.run.judge"), "LookupError"),
    Case("findings-many", NOTICE, setting(body=FULL, meant=meant()), "more findings"),
    # --- severity where senders do not look for a policy
    Case("policy-status", NOTICE, both(txt(), NOT_FOUND), name="without-a-record"),
    Case("policy-status", ERROR, both(txt(), NOT_FOUND, setting(meant=meant())), name="no-record-yet"),
    Case("mx-cert-name", CRITICAL, both(UNSEEN, setting(meant=meant())), name="meant"),
    Case("mx-cert-name", WARNING, UNSEEN, name="mode-not-known"),
    Case("mx-cert-name", NOTICE, both(txt(), UNSEEN), name="no-mta-sts"),
)
