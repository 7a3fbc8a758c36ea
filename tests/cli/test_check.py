"""`sidecar check`: what it prints, and its exit code by the worst finding."""

import argparse
import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.cli import check as command
from sidecar.host.errors import PermanentError
from sidecar.observed.checks import Finding
from sidecar.verify import probe_codes
from sidecar.verify.run import Checked, Probing
from tests.dns.faulty import LOOPBACK
from tests.verify.certificates import Kind, root_file
from tests.verify.internet import DOMAIN, Mail, World, internet


def parsed(*arguments: str) -> argparse.Namespace:
    """The command line as the program reads it."""
    top = argparse.ArgumentParser(prog="sidecar")
    command.add_parser(top.add_subparsers())
    return top.parse_args(["check", *arguments])


def options(probing: Probing) -> list[str]:
    """The command line that leads to the internet of the tests."""
    assert probing.resolver is not None
    host, port = probing.resolver
    return [
        f"--resolver={host}:{port}",
        f"--ca={root_file()}",
        f"--port-smtp={probing.smtp_port}",
        f"--port-https={probing.https_port}",
    ]


async def code_of(world: World, *arguments: str, domain: str = DOMAIN) -> int:
    """The exit code of a check in this world."""
    async with internet(world) as probing:
        given = parsed(domain, *options(probing), *arguments)
        return await asyncio.to_thread(command.run, given, {})


@pytest.mark.parametrize(
    ("world", "code"),
    [
        (World(), 0),
        (World(mx="*.example.test", status="200 Fine"), 0),
        (World(mail_tls=Kind.ENDING), 1),  # a warning
        (World(mail=Mail.RUDE), 1),  # what could not be seen is not good
        (World(web_tls=Kind.EXPIRED), 4),  # an error
        (World(mail_tls=Kind.EXPIRED), 4),  # senders refuse to deliver
    ],
)
async def test_exit_code_follows_the_worst_finding(
    world: World, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 up to a notice, 1 up to a warning, 4 from an error on; never 2, which is for the command line."""
    assert await code_of(world) == code


async def test_report_has_the_worst_first_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """A person reads from the top."""
    await code_of(World(mail_tls=Kind.EXPIRED))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{DOMAIN}: critical"
    assert lines[1] == "  mode enforce, max_age 604800, mx mail.example.test; id 20260101"
    assert lines[2].startswith("  critical  mail.example.test: the certificate has expired on 20")
    assert lines[2].endswith("[mx-cert-expired, RFC 8461 §4.2]")
    assert lines[3].startswith("            to do: renew it")
    assert any(line.startswith("  ok ") for line in lines[4:])


async def test_json_has_all_that_the_report_has(capsys: pytest.CaptureFixture[str]) -> None:
    """A list, also for one domain."""
    await code_of(World(mx="mx.example.test"), "--json")
    (found,) = json.loads(capsys.readouterr().out)
    assert found["domain"] == DOMAIN
    assert found["worst"] == "critical"
    assert found["policy"] == {"mode": "enforce", "max_age": 604800, "mx": ["mx.example.test"]}
    assert (found["id"], found["mx"]) == ("20260101", ["mail.example.test"])
    assert found["at"].endswith("+00:00")
    by_code = {finding["code"]: finding for finding in found["findings"]}
    assert set(by_code["mx-uncovered"]) == {"code", "severity", "subject", "message", "todo", "section"}
    assert by_code["mx-uncovered"]["severity"] == "critical"


async def test_an_idn_domain_is_queried_as_a_label_and_shown_as_unicode(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both spellings are accepted."""
    await code_of(World(), domain="BÜCHER.test")
    assert capsys.readouterr().out.startswith("bücher.test: ")
    await code_of(World(), "--json", domain="bücher.test")
    assert json.loads(capsys.readouterr().out)[0]["domain"] == "xn--bcher-kva.test"


async def test_mx_hosts_are_left_alone_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """For networks that let nothing out on port 25."""
    assert await code_of(World(mail_tls=Kind.EXPIRED), "--no-smtp") == command.DOUBTFUL
    assert "mx-unasked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["no domain"], {}),
        ([DOMAIN, "--resolver", "dns.example.org"], {}),
        ([DOMAIN, "--resolver", "192.0.2.1:x"], {}),
        ([DOMAIN, "--resolver", "[2001:db8::1]:99999"], {}),
        ([DOMAIN], {"MTA_STS_RESOLVER": "nonsense"}),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str], env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the word that is wrong, and exit code 2."""
    assert command.run(parsed(*arguments), env) == 2
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)


def no_such_file(folder: Path) -> Path:
    """A path that does not exist."""
    return folder / "none.pem"


def no_certificate(folder: Path) -> Path:
    """A file without any certificate."""
    path = folder / "empty.pem"
    path.write_text("nothing")
    return path


@pytest.mark.parametrize("make", [no_such_file, no_certificate])
def test_a_file_without_roots_is_an_error(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """It names the file; no check runs without the requested roots."""
    path = make(tmp_path)
    with pytest.raises(PermanentError, match=str(path)) as caught:
        command.run(parsed(DOMAIN, f"--ca={path}", f"--resolver={LOOPBACK}:1"), {})
    assert isinstance(caught.value.__cause__, OSError | ssl.SSLError)


def test_the_worst_of_several_domains_counts() -> None:
    """One bad domain decides."""
    results = [
        Checked(DOMAIN, (Finding.of(code, DOMAIN, "found"),), 0.0, None, None, None, None, None)
        for code in (probe_codes.TXT_FOUND, probe_codes.POLICY_STATUS, probe_codes.TXT_NONE)
    ]
    assert command.exit_code(results) == 4
    assert command.exit_code(results[2:]) == 0
    assert command.exit_code([]) == 0
