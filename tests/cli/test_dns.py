"""`sidecar dns test` and the forms of `sidecar records`, with a whole mailcow on loopback."""

import json
from pathlib import Path

import pytest
import yaml

from sidecar.host.exits import Exit
from tests.running import command
from tests.stage import stage

pytestmark = pytest.mark.integration

REPORT = "tls_report: tls@example.org\n"

ACCOUNTS = """
dns:
  accounts:
    closed: {type: rfc2136, server: "127.0.0.1:1", key_name: sidecar, secret_env: TSIG}
    acme: {type: mailcow}
"""


async def test_accounts_that_cannot_be_used_are_reported_and_names_stay_a_task_by_hand(
    tmp_path: Path,
) -> None:
    """Each says why; the secret is in no output."""
    async with stage(tmp_path, config=REPORT + ACCOUNTS) as on:
        env = {**on.env, "TSIG": "c2VjcmV0LXRoYXQtbm9ib2R5LXNlZXM="}
        shown = await command(env, "dns", "test")
        as_object = await command(env, "dns", "test", "--json")
    assert shown.code == Exit.FAILED
    assert "account closed: cannot be used: the DNS server 127.0.0.1:1 gave no usable answer" in shown.out
    assert "account acme: cannot be used: ACME_DNS_PROVIDER is not set in mailcow.conf" in shown.out
    assert "_mta-sts.example.org: no account serves its zone: a task by hand" in shown.out
    assert "c2VjcmV0" not in shown.out + as_object.out
    assert {one["name"] for one in json.loads(as_object.out)["names"]} == {
        "mta-sts.example.org",
        "_mta-sts.example.org",
        "_smtp._tls.example.org",
    }


async def test_records_are_exported_in_each_form(tmp_path: Path) -> None:
    """With the present id."""
    async with stage(tmp_path, config=REPORT) as on:
        await on.once()
        octodns = await command(on.env, "records", "--format", "octodns")
        dnscontrol = await command(on.env, "records", "--format", "dnscontrol")
        as_object = await command(on.env, "records", "--format", "json")
        ids = {name: row.id for name, row in on.mailcow.policies.items()}
    assert ids["example.org"] in yaml.safe_load(octodns.out)["_mta-sts"]["value"]
    assert dnscontrol.out.startswith('D_EXTEND("example.org",\n')
    assert {one["type"] for one in json.loads(as_object.out)} == {"CNAME", "TXT"}
