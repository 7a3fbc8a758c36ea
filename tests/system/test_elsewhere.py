"""A provider's policy at another address (a real nginx): the whole sidecar leaves it alone, and adopts it as asked."""

import shutil
from pathlib import Path

from tests.running import command
from tests.stage import HOST, Stage, stage
from tests.system.webserver import running_nginx

PROVIDER = "127.0.0.9"
POLICY = f"version: STSv1\nmode: enforce\nmax_age: 1209600\nmx: {HOST}\n"


def provide(on: Stage, ca: Path) -> None:
    """The domain's policy host leads to the provider, whose certificate is trusted."""
    on.dns["mta-sts.example.org.", "A"] = [PROVIDER]
    on.dns["mta-sts.example.org.", "AAAA"] = []
    on.dns["_mta-sts.example.org.", "TXT"] = ['"v=STSv1; id=provider1;"']
    shutil.copy(ca, on.root / "ca.pem")


async def test_policy_of_a_provider_is_left_alone_until_it_is_taken_over(tmp_path: Path) -> None:
    """Nothing is written, nothing is asked for; the line that is offered does what it says."""
    with running_nginx("mta-sts.example.org", address=PROVIDER, http_port=80, https_port=443) as provider:
        (provider.root / ".well-known/mta-sts.txt").write_text(POLICY)
        async with stage(tmp_path, MTA_STS_VERIFY="1") as on:
            provide(on, provider.ca)
            on.configure("extra_roots: ca.pem\n")
            await on.once()
            assert on.served() == {}
            status = await command(on.env, "status")
            records = await command(on.env, "records", "--missing")
            assert "served elsewhere" in status.out
            assert "IN CNAME" not in records.out
            on.configure(
                "extra_roots: ca.pem\n"
                f"domains: {{example.org: {{adopt: true, mode: enforce, max_age: 1209600, mx: [{HOST}]}}}}\n"
            )
            await on.once()
            assert on.served() == {"example.org": on.mailcow.policy_text("example.org")}
            assert "mode: enforce" in (on.mailcow.policy_text("example.org") or "")
            assert f"mta-sts.example.org. 120 IN CNAME {HOST}." in (await command(on.env, "records")).out


async def test_web_site_without_a_policy_is_no_provider(tmp_path: Path) -> None:
    """A wildcard record: the policy is published here, and the record is to be corrected."""
    with running_nginx("mta-sts.example.org", address=PROVIDER, http_port=80, https_port=443) as site:
        async with stage(tmp_path, MTA_STS_VERIFY="1") as on:
            provide(on, site.ca)
            on.dns["_mta-sts.example.org.", "TXT"] = []
            on.configure("extra_roots: ca.pem\n")
            await on.once()
            assert list(on.served()) == ["example.org"]
