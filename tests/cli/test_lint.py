"""`sidecar lint`: octets in, a verdict, findings and an exit code out."""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import lint
from sidecar.host.exits import Exit
from tests.verify.corpus.policies import BASE


def run(*arguments: str, stdin: bytes = b"") -> Exit:
    """The exit code of `sidecar lint` with these arguments."""
    parser = argparse.ArgumentParser()
    lint.add_parser(parser.add_subparsers(dest="command", required=True))
    return lint.run(parser.parse_args(["lint", *arguments]), {}, io.BytesIO(stdin))


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What was printed as JSON."""
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


KEYS = {"valid", "findings", "mode", "max_age", "mx", "id", "rua"}


def test_policy_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 and its fields if it is valid."""
    file = tmp_path / "mta-sts.txt"
    file.write_bytes(BASE)
    assert run("policy", str(file), "--json") is Exit.OK
    found = printed(capsys)
    assert set(found) == KEYS
    assert found == {
        "valid": True,
        "findings": [],
        "mode": "enforce",
        "max_age": 604_800,
        "mx": ["mail.example.org"],
        "id": None,
        "rua": [],
    }


def test_findings_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with code, severity, message, what to do, and its section."""
    assert run("policy", "--json", "-", stdin=BASE + b"\n") is Exit.FAILED
    found = printed(capsys)
    assert found["valid"] is False
    (finding,) = found["findings"]
    assert set(finding) == {"code", "severity", "message", "todo", "section"}
    assert (finding["code"], finding["severity"]) == ("policy-blank-line", "error")
    assert finding["section"] == "RFC 8461 §3.2"
    assert finding["message"].startswith("line 5 is not a field of a policy: it is blank")


def test_policy_from_standard_input_is_read_octet_by_octet(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is decoded, stripped or translated on the way."""
    assert run("policy", "-", stdin=BASE.replace(b"\n", b"\r\n")) is Exit.OK
    assert run("policy", "-", stdin=BASE.replace(b"\n", b"\r")) is Exit.FAILED
    assert run("policy", "-", stdin=b"\xef\xbb\xbf" + BASE) is Exit.FAILED
    assert run("policy", "-", stdin=BASE + b"x: \xff\n") is Exit.FAILED
    assert run("policy", "-") is Exit.FAILED
    capsys.readouterr()


def test_record_as_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    """The text itself."""
    assert run("record", "v=STSv1; id=abc;", "--json") is Exit.OK
    found = printed(capsys)
    assert (found["valid"], found["id"], found["findings"]) == (True, "abc", [])
    assert run("record", "v=STSv1; id=a-b", "--json") is Exit.FAILED
    assert [finding["code"] for finding in printed(capsys)["findings"]] == ["record-id"]


def test_record_from_standard_input_keeps_its_line_end(capsys: pytest.CaptureFixture[str]) -> None:
    """`echo` adds one, which no record contains."""
    assert run("record", "-", stdin=b"v=STSv1; id=abc;") is Exit.OK
    assert run("record", "-", stdin=b"v=STSv1; id=abc;\n") is Exit.FAILED
    assert run("tlsrpt", "-", stdin=b"v=TLSRPTv1; rua=mailto:a@example.org") is Exit.OK
    assert run("tlsrpt", "-", stdin=b"v=TLSRPTv1; rua=mailto:a@example.org\n") is Exit.FAILED
    capsys.readouterr()


def test_argument_that_is_not_text(capsys: pytest.CaptureFixture[str]) -> None:
    """An octet that is not UTF-8 arrives as a surrogate, and is reported as an octet."""
    assert run("record", "v=STSv1; id=abc\udcff", "--json") is Exit.FAILED
    (finding,) = printed(capsys)["findings"]
    assert "the octet FF" in finding["message"]
    assert run("match", "\udcff.example", "a.example") is Exit.FAILED
    assert "\udcff" not in capsys.readouterr().out


def test_tlsrpt(capsys: pytest.CaptureFixture[str]) -> None:
    """All destinations, as written; an address in another domain is fine."""
    text = "v=TLSRPTv1; rua=mailto:a@elsewhere.example, https://example.net/"
    assert run("tlsrpt", text, "--json") is Exit.OK
    found = printed(capsys)
    assert found["rua"] == ["mailto:a@elsewhere.example", "https://example.net/"]
    assert found["findings"] == []


def test_match(capsys: pytest.CaptureFixture[str]) -> None:
    """0 if it matches, otherwise 1 and the reason."""
    assert run("match", "*.example.org", "mail.example.org", "--json") is Exit.OK
    assert printed(capsys)["valid"] is True
    assert run("match", "*.example.org", "a.b.example.org", "--json") is Exit.FAILED
    (finding,) = printed(capsys)["findings"]
    assert finding["code"] == "match-none"
    assert "exactly one label" in finding["message"]


def test_warnings_leave_it_valid(capsys: pytest.CaptureFixture[str]) -> None:
    """A field that occurs twice: the first counts, and a warning says so."""
    assert run("policy", "-", stdin=BASE + b"mode: none\n") is Exit.OK
    out = capsys.readouterr().out
    assert out.startswith("valid\n  mode enforce\n  max_age 604800\n  mx mail.example.org\n")
    assert "warning policy-field-repeated: the field mode is given again" in out
    assert "to do: " in out


def test_text_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict first."""
    assert run("record", "v=STSv1 id=abc") is Exit.FAILED
    out = capsys.readouterr().out
    assert out.startswith("not valid\nerror record-semicolon: no semicolon follows 'v=STSv1'")
    assert "(RFC 8461 §3.1)" in out


def test_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither valid nor not valid."""
    assert run("policy", str(tmp_path / "missing.txt")) is Exit.SETTINGS
    assert run("policy", str(tmp_path)) is Exit.SETTINGS
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "missing.txt cannot be read: No such file or directory" in captured.err
