"""What `sidecar check` prints of hostile and odd worlds: what is wrong, where, and what to do about it."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sidecar.cli.check import BAD, DOUBTFUL, GOOD, exit_code, report
from sidecar.verify.run import Checked
from tests.verify.cases import (
    HOME,
    ONE_LINE,
    SIX,
    TWELVE,
    TXT,
    WILDCARD,
    both,
    dns,
    put,
    second,
    setting,
    txt,
    without_txt,
)
from tests.verify.certificates import Kind
from tests.verify.internet import DOMAIN, MX_HOST, POLICY_HOST, Mail, World, seen_in

URL = f"https://{POLICY_HOST}/.well-known/mta-sts.txt"


@dataclass(frozen=True)
class Odd:
    """In the world made by `change`, the report has this finding with these words, and these of what to do."""

    name: str
    change: Callable[[World], object]
    severity: str
    code: str
    subject: str
    says: str
    todo: str
    exits: int = BAD


ODD = (
    Odd(
        "served and not announced",
        without_txt,
        "error",
        "txt-nxdomain",
        f"_mta-sts.{DOMAIN}",
        f"does not exist: senders do not use MTA-STS for {DOMAIN}, though a policy is served",
        f'publish _mta-sts.{DOMAIN} TXT "v=STSv1; id=',
    ),
    Odd(
        "record with two underscores",
        put(f"_mta_sts.{DOMAIN}."),
        "warning",
        "txt-misplaced",
        f"_mta_sts.{DOMAIN}",
        "where senders do not look",
        f"move it to _mta-sts.{DOMAIN}",
    ),
    Odd(
        "zone name twice",
        put(f"{TXT}{DOMAIN}."),
        "warning",
        "txt-misplaced",
        f"_mta-sts.{DOMAIN}.{DOMAIN}",
        "where senders do not look",
        "enter _mta-sts alone",
    ),
    Odd(
        "record at the policy host",
        put(f"{POLICY_HOST}."),
        "warning",
        "txt-misplaced",
        POLICY_HOST,
        "where senders do not look",
        f"move it to _mta-sts.{DOMAIN}",
    ),
    Odd(
        "wildcard TXT",
        WILDCARD,
        "notice",
        "txt-wildcard",
        f"_mta-sts.{DOMAIN}",
        f"the wildcard *.{DOMAIN} answer",
        "the wildcard can stay",
    ),
    Odd(
        "backslashes of a zone file",
        txt(r"v=STSv1\\; id=1\\;"),
        "error",
        "record-escaped",
        f"_mta-sts.{DOMAIN}",
        "a backslash stands before a semicolon",
        "remove the backslashes",
    ),
    Odd(
        "policy on one line",
        setting(body=ONE_LINE),
        "error",
        "policy-one-line",
        URL,
        "all fields of the policy stand on one line",
        "give each field a line of its own",
    ),
    Odd(
        "line ends written out",
        setting(body=ONE_LINE.replace(b" m", rb"\nm")),
        "error",
        "policy-one-line",
        URL,
        r"with \n written out",
        "give each field a line of its own",
    ),
    Odd(
        "policy in UTF-16",
        setting(body=ONE_LINE.decode().encode("utf-16")),
        "error",
        "policy-utf-16",
        URL,
        "written in UTF-16",
        "save the file as plain text in UTF-8",
    ),
    Odd(
        "policy of all of com",
        setting(mx="*.com"),
        "warning",
        "policy-mx-public-suffix",
        URL,
        "covers every domain below com",
        "write the names of your own MX hosts",
    ),
    Odd(
        "MX that is an address",
        dns(f"{DOMAIN}.", "MX", ["10 192.0.2.1."]),
        "error",
        "mx-address",
        DOMAIN,
        "the MX record names the address 192.0.2.1",
        f"publish {DOMAIN} MX 10 mail.{DOMAIN}",
    ),
    Odd(
        "host that refuses us",
        setting(mail=Mail.RUDE),
        "unknown",
        "mx-refuses-us",
        MX_HOST,
        "the host refuses us: our connection was answered with '554 5.7.1 not you'",
        "a block list, no reverse DNS",
        DOUBTFUL,
    ),
    Odd(
        "another service on port 25",
        setting(mail=Mail.OTHER_SERVICE),
        "unknown",
        "mx-wont-talk",
        MX_HOST,
        "answered with 'SSH-2.0-OpenSSH_9.2'",
        "check from another network",
        DOUBTFUL,
    ),
    Odd(
        "MX without STARTTLS at its second address",
        second(mail=Mail.PLAIN),
        "critical",
        "mx-no-starttls",
        MX_HOST,
        "STARTTLS is not offered (at 127.0.0.2)",
        "enable STARTTLS",
    ),
    Odd(
        "another web server at the second address",
        second(web_tls=Kind.WRONG_NAME, body=b"<html>"),
        "error",
        "policy-cert-name",
        POLICY_HOST,
        "it has elsewhere.test (at 127.0.0.2)",
        f"get a certificate for {POLICY_HOST}",
    ),
    Odd(
        "two policies at two addresses",
        second(mode="none"),
        "error",
        "policy-addresses-differ",
        URL,
        "127.0.0.1: mode enforce, max_age 604800, mx mail.example.test; 127.0.0.2: mode none",
        "remove the record of the wrong one",
    ),
    Odd(
        "no route to IPv6",
        both(SIX, setting(only_loopback=True)),
        "unknown",
        "mx-no-route",
        MX_HOST,
        "2001:db8::25 cannot be reached: this machine has no IPv6 route to it",
        "on a machine that has one",
        DOUBTFUL,
    ),
    Odd(
        "private addresses in public names",
        both(HOME, setting(only_loopback=True)),
        "warning",
        "mx-host-private",
        MX_HOST,
        "private address 192.168.1.25",
        "publish the public address",
        DOUBTFUL,
    ),
    Odd(
        "more addresses than are probed",
        dns(f"{MX_HOST}.", "A", TWELVE),
        "unknown",
        "mx-unasked",
        MX_HOST,
        "the host has 12 addresses, and 8 of a host are probed",
        "",
        DOUBTFUL,
    ),
    Odd(
        "certificate of the MX ended",
        setting(mail_tls=Kind.EXPIRED),
        "critical",
        "mx-cert-expired",
        MX_HOST,
        "the certificate has expired on",
        "renew it, and have the server load it",
    ),
    Odd(
        "a banner with escape sequences",
        setting(status="301 \x1b[2J", headers={"Location": "http://\x1b]0;x\x07.test/"}),
        "error",
        "policy-redirect",
        URL,
        "senders must not follow",
        "serve the policy at this URL itself",
    ),
    Odd(
        "a hundred headers and a huge body",
        setting(body=b"mx: a.test\n" * 20_000),
        "error",
        "policy-too-large",
        URL,
        "larger than 64 KB",
        "serve the policy alone",
    ),
)


@pytest.mark.parametrize("odd", ODD, ids=[odd.name for odd in ODD])
async def test_report_says_what_is_wrong_where_and_what_to_do(odd: Odd) -> None:
    """In the words of the report, whose exit code fits it."""
    checked = await look(odd)
    lines = report([checked]).splitlines()
    start = f"  {odd.severity:<8}  {odd.subject}: "
    (place,) = [n for n, line in enumerate(lines) if line.startswith(start) and f"[{odd.code}, " in line]
    assert odd.says in lines[place]
    if odd.todo:
        assert lines[place + 1].strip().startswith("to do: ")
        assert odd.todo in lines[place + 1]
    assert exit_code([checked]) == odd.exits
    assert all(line.isprintable() for line in lines)


async def look(odd: Odd) -> Checked:
    """What a check finds in this world."""
    world = World()
    odd.change(world)
    return await seen_in(world)


async def test_report_of_a_domain_with_nothing_wrong() -> None:
    """Nothing to do, and exit code 0."""
    checked = await seen_in(World())
    assert "to do" not in report([checked])
    assert exit_code([checked]) == GOOD


def test_there_are_twenty() -> None:
    """Each with a name of its own."""
    assert len({odd.name for odd in ODD}) == len(ODD) >= 20
