"""The simulated mailcow where no recording speaks: releases, outages of the network, what was asked, size."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from demo.simulated import API, EVERYTHING, POLICY, Fault, KeyUse, SimulatedMailcow
from demo.simulated_api import _address
from demo.simulated_http import Ask
from demo.simulated_world import Release, listed

POLICY_PATH = "/.well-known/mta-sts.txt"


@dataclass
class Client:
    """A client of one simulated mailcow; `get` and `post` give status and body."""

    mailcow: SimulatedMailcow
    session: aiohttp.ClientSession

    async def get(self, path: str, *, key: str | None = None, **more: str) -> tuple[int, str]:
        """A GET with the read-write key, or another one, or none where it is empty."""
        names = {"host": "Host", "cookie": "Cookie", "forwarded": "X-Forwarded-For"}
        headers = {"X-API-Key": (self.mailcow.key or "") if key is None else key}
        headers |= {names[name]: value for name, value in more.items()}
        async with self.session.get(self.mailcow.url + path, headers=headers) as response:
            return response.status, await response.text()

    async def post(self, route: str, data: Any) -> Any:
        """A write with the read-write key; the JSON of its answer."""
        headers = {"X-API-Key": self.mailcow.key or ""}
        async with self.session.post(
            f"{self.mailcow.url}/api/v1/{route}", json=data, headers=headers
        ) as response:
            return await response.json()

    async def policy(self, host: str) -> tuple[int, str]:
        """What a sender gets from a policy host."""
        return await self.get(POLICY_PATH, key="", host=host)


@pytest.fixture
async def clock() -> list[float]:
    """The simulated clock, in Unix seconds: 2026-11-24 09:00:00 in Berlin."""
    return [1_795_507_200.0]


@pytest.fixture
async def client(clock: list[float], tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a mailcow with one domain and one alias domain."""
    async with (
        await SimulatedMailcow.start(clock=lambda: clock[0], policy_file=tmp_path / "mta-sts.txt") as mailcow,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        mailcow.add_domain("example.org")
        mailcow.add_alias("alias.example", "example.org")
        yield Client(mailcow, session)


def policy(**changes: Any) -> dict[str, Any]:
    """The body of add/mta-sts for example.org."""
    body = {"domain": "example.org", "version": "stsv1", "mode": "testing", "mx": "mail.example.org"}
    return {**body, "max_age": 86400, "active": 1, **changes}


# --- releases ---------------------------------------------------------------------------------------------

# version: native, wildcard mx, port in Host, alias domains, capitals in Host, search route, paged route
RELEASES = {
    "2024-11": (False, False, False, False, False, False, True),
    "2025-07": (False, False, False, False, False, False, True),
    "2025-09": (True, False, False, False, False, False, True),
    "2025-09b": (True, False, False, False, False, False, True),
    "2025-09c": (True, True, True, False, False, False, True),
    "2025-12a": (True, True, True, False, False, False, True),
    "2026-01": (True, True, True, True, False, False, True),
    "2026-03": (True, True, True, True, False, True, False),
    "2026-05c": (True, True, True, True, True, True, False),
    "2026-07a": (True, True, True, True, True, True, False),
    None: (True, True, True, True, True, True, False),
    "0642467": (True, True, True, True, True, True, False),
}


@pytest.mark.parametrize(("version", "expected"), RELEASES.items())
def test_behaviour_follows_the_release(version: str | None, expected: tuple[bool, ...]) -> None:
    """Each difference begins with the release that brought it; an unknown version counts as the newest."""
    release = Release.of(version)
    assert expected == (
        release.native,
        release.wildcard_mx,
        release.port_in_host,
        release.alias_policies,
        release.plain_host,
        release.search_route,
        release.paged_route,
    )


@pytest.mark.parametrize(
    ("version", "accepted"), [("2025-09", False), ("2025-09b", False), ("2025-09c", True)]
)
async def test_wildcard_mx_by_release(client: Client, version: str, accepted: bool) -> None:
    """2025-09, a and b refuse a wildcard, later ones take it."""
    client.mailcow.update_to(version)
    answer = await client.post("add/mta-sts", policy(mx="*.example.org"))
    assert isinstance(answer, dict) == accepted
    assert ("example.org" in client.mailcow.policies) == accepted


@pytest.mark.parametrize(
    ("version", "hosts"),
    [
        ("2025-09", {"mta-sts.example.org"}),
        ("2025-12a", {"mta-sts.example.org", "mta-sts.example.org:443"}),
        ("2026-01", {"mta-sts.example.org", "mta-sts.example.org:443", "mta-sts.alias.example"}),
        (
            "2026-07a",
            {
                "mta-sts.example.org",
                "mta-sts.example.org:443",
                "mta-sts.alias.example",
                "MTA-STS.example.org",
                "mta-sts.example.org.",
            },
        ),
    ],
)
async def test_policy_hosts_by_release(client: Client, version: str, hosts: set[str]) -> None:
    """Alias domains, a port, capitals and a final dot are understood from some release on."""
    client.mailcow.update_to(version)
    await client.post("add/mta-sts", policy())
    tried = ("example.org", "example.org:443", "alias.example", "example.org.")
    answered = {
        host
        for host in [*(f"mta-sts.{name}" for name in tried), "MTA-STS.example.org"]
        if (await client.policy(host))[0] == 200
    }
    assert answered == hosts


@pytest.mark.parametrize(
    ("version", "search", "paged"), [("2025-07", 404, 1), ("2026-01", 404, 1), ("2026-03", 200, None)]
)
async def test_counts_by_release(client: Client, version: str, search: int, paged: int | None) -> None:
    """Until 2026-01 counts come from datatables, since 2026-03 from search; never from both."""
    client.mailcow.update_to(version)
    headers = {"X-API-Key": client.mailcow.key or ""}
    url = f"{client.mailcow.url}/api/v1/search/domain"
    async with client.session.post(
        url, json={"draw": 1, "start": 0, "length": 0}, headers=headers
    ) as response:
        assert response.status == search
    _, text = await client.get("/api/v1/get/domain/datatables?draw=1&start=0&length=0")
    assert json.loads(text).get("recordsTotal") == paged


async def test_update_under_a_running_sidecar_changes_the_generation(client: Client) -> None:
    """Before the update the file is served and the route is missing, after it the row alone counts."""
    mailcow = client.mailcow
    assert mailcow.policy_file is not None
    mailcow.policy_file.write_text("the file\n")
    mailcow.update_to("2025-07")
    assert await client.policy("mta-sts.example.org") == (200, "the file\n")
    assert await client.post("add/mta-sts", {}) == {"type": "error", "msg": "route not found"}
    mailcow.update_to("2026-07a")
    assert await client.policy("mta-sts.example.org") == (404, "")
    await client.post("add/mta-sts", policy())
    assert await client.policy("mta-sts.example.org") == (200, mailcow.policy_text("example.org"))
    assert json.loads((await client.get("/api/v1/get/status/version"))[1]) == {"version": "2026-07a"}


# --- policies ---------------------------------------------------------------------------------------------


async def test_id_is_local_time_and_shown_by_the_dns_page(client: Client, clock: list[float]) -> None:
    """The id is the time of the last change of content in the container's time zone; switching keeps it."""
    await client.post("add/mta-sts", policy())
    assert client.mailcow.policies["example.org"].id == "20261124090000"
    clock[0] += 60
    switch = {"items": ["example.org"], "attr": {"version": "stsv1", "active": 0}}
    await client.post("edit/mta-sts", switch)
    assert client.mailcow.policies["example.org"].id == "20261124090000"
    await client.post(
        "edit/mta-sts", {"items": ["example.org"], "attr": {"version": "stsv1", "active": 1, "max_age": 1}}
    )
    assert client.mailcow.policies["example.org"].id == "20261124090100"
    _, page = await client.get("/inc/ajax/dns_diagnostics.php?domain=example.org")
    assert "v=STSv1;id=20261124090100;" in page


async def test_person_in_the_page_changes_a_policy(client: Client, clock: list[float]) -> None:
    """A person's change is served at once, without a request, with a new id only for new content."""
    mailcow = client.mailcow
    mailcow.person_sets_policy("example.org", mode="enforce", mx=["a.example", "b.example"], max_age=60)
    first = mailcow.policies["example.org"].id
    clock[0] += 60
    mailcow.person_sets_policy(
        "example.org", mode="enforce", mx="a.example,b.example", max_age=60, active=False
    )
    assert mailcow.policies["example.org"].id == first
    assert await client.policy("mta-sts.example.org") == (404, "")
    mailcow.person_sets_policy("example.org", mode="none", mx="a.example", max_age=60)
    assert mailcow.policies["example.org"].id != first
    assert await client.policy("mta-sts.example.org") == (
        200,
        "version: STSv1\nmode: none\nmax_age: 60\nmx: a.example\n",
    )


async def test_edit_stops_checking_at_an_mx_that_idna_refuses(client: Client) -> None:
    """mailcow's check of the mx ends, and passes, at the first name that cannot be converted."""
    await client.post("add/mta-sts", policy())
    attr = {"version": "stsv1", "mx": "-bad.example.org,also bad!"}
    await client.post("edit/mta-sts", {"items": ["example.org"], "attr": attr})
    assert client.mailcow.policies["example.org"].mx == "-bad.example.org,alsobad!"


# --- keys -------------------------------------------------------------------------------------------------


async def test_seen_requests_tell_key_and_cookie(client: Client) -> None:
    """A test can tell who asked what with which key, and catches a client that keeps the session cookie."""
    mailcow = client.mailcow
    async with client.session.get(
        f"{mailcow.url}/api/v1/get/status/version", headers={"X-API-Key": mailcow.key or ""}
    ) as response:
        cookie = response.headers["Set-Cookie"].partition(";")[0]
    kept = await client.get("/api/v1/get/domain/all", key="", cookie=cookie)
    assert json.loads(kept[1])[0]["domain_name"] == "example.org"
    await client.get("/api/v1/get/domain/all", key="WRONG")
    await client.post("search/domain", {"length": 0})
    assert [(seen.route, seen.key, seen.cookie, seen.body) for seen in mailcow.requests] == [
        ("get/status/version", KeyUse.READ_WRITE, False, None),
        ("get/domain/all", KeyUse.NONE, True, None),
        ("get/domain/all", KeyUse.WRONG, False, None),
        ("search/domain", KeyUse.READ_WRITE, False, {"length": 0}),
    ]
    assert len(mailcow.asked("get/domain")) == 2
    assert len(mailcow.asked(API, "POST")) == 1


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("127.0.0.1", "192.0.2.9", "127.0.0.1"),  # loopback is no proxy
        ("203.0.113.7", "192.0.2.9", "203.0.113.7"),  # nor is a public address
        ("172.22.1.9", "192.0.2.9", "192.0.2.9"),  # but a container is one
        ("172.22.1.9", "192.0.2.9, 10.0.0.8", "10.0.0.8"),
        ("172.22.1.9", "", "172.22.1.9"),
    ],
)
def test_forwarded_address_counts_from_private_networks_alone(peer: str, forwarded: str, seen: str) -> None:
    """A client in the compose network that sends X-Forwarded-For is taken for somebody else."""
    ask = Ask("GET", "/", "", {"x-forwarded-for": forwarded}, peer, b"", tls=False)
    assert _address(ask) == seen


async def test_allow_list_takes_addresses_and_networks(client: Client) -> None:
    """The caller's own address is what the refusal names; entries that are nothing are passed over."""
    mailcow = client.mailcow
    mailcow.allow_from = ("nonsense", "198.51.100.0/24", "127.0.0.1/32")
    assert (await client.get("/api/v1/get/status/version"))[0] == 200
    mailcow.allow_from = ("nonsense", "198.51.100.0/24")
    status, text = await client.get("/api/v1/get/status/version", forwarded="198.51.100.1")
    assert (status, json.loads(text)["msg"]) == (401, "api access denied for ip 127.0.0.1")


# --- outages ----------------------------------------------------------------------------------------------


async def test_partial_list_has_the_names_it_is_given(client: Client) -> None:
    """A partial list is a list, or {} when no name is left."""
    client.mailcow.add_domain("example.net")
    client.mailcow.fail("get/domain/all", Fault.partial(["example.net"]))
    _, text = await client.get("/api/v1/get/domain/all")
    assert [row["domain_name"] for row in json.loads(text)] == ["example.net"]
    client.mailcow.fail("get/domain/all", Fault.partial([]))
    assert await client.get("/api/v1/get/domain/all") == (200, "{}")
    client.mailcow.heal("get/domain/all")
    assert len(json.loads((await client.get("/api/v1/get/domain/all"))[1])) == 2


@pytest.mark.parametrize(
    ("fault", "done"), [(Fault.REFUSED, False), (Fault.LOST_ANSWER, True), (Fault.CUT, True)]
)
async def test_connection_ends_before_or_after_the_work(client: Client, fault: Fault, done: bool) -> None:
    """Without an answer a client cannot know whether its write was done; the table can."""
    client.mailcow.fail("add/mta-sts", fault, times=1)
    with pytest.raises(aiohttp.ClientError):
        await client.post("add/mta-sts", policy())
    assert ("example.org" in client.mailcow.policies) == done
    answer = await client.post("add/mta-sts", policy())
    assert isinstance(answer, list) == done


async def test_slow_route_does_nothing_before_its_time(client: Client) -> None:
    """A client that gives up on a slow route has changed nothing; other routes are not slow."""
    client.mailcow.slow("add", 3600)
    call = asyncio.create_task(client.post("add/mta-sts", policy()))
    await client.mailcow.until(lambda: bool(client.mailcow.asked("add/mta-sts")))
    assert (await client.get("/api/v1/get/status/version"))[0] == 200
    assert not call.done()
    call.cancel()
    await client.mailcow.until(call.done)
    assert not client.mailcow.policies


async def test_closing_ends_calls_that_wait(client: Client) -> None:
    """A silent mailcow that is closed drops its callers."""
    client.mailcow.fail(EVERYTHING, Fault.SILENCE)
    call = asyncio.create_task(client.get("/api/v1/get/domain/all"))
    await client.mailcow.until(lambda: bool(client.mailcow.requests))
    await client.mailcow.close()
    with pytest.raises(aiohttp.ClientError):
        await call


async def test_outage_of_php_leaves_the_policy_file_alone(client: Client) -> None:
    """On the file generation nginx serves the policy whatever PHP does, unless the policy is to fail."""
    mailcow = client.mailcow
    assert mailcow.policy_file is not None
    mailcow.policy_file.write_text("the file\n")
    mailcow.update_to("2025-07")
    mailcow.fail(EVERYTHING, Fault.HTML_500)
    assert (await client.get("/api/v1/get/domain/all"))[0] == 500
    assert await client.policy("mta-sts.example.org") == (200, "the file\n")
    mailcow.fail(POLICY, Fault.HTML_502)
    assert (await client.policy("mta-sts.example.org"))[0] == 502


async def test_hidden_domains_come_back(client: Client) -> None:
    """While the database is restored the lists are empty and policies go on being served."""
    await client.post("add/mta-sts", policy())
    client.mailcow.hide_domains()
    for route in ("get/domain/all", "get/alias-domain/all"):
        assert await client.get(f"/api/v1/{route}") == (200, "{}")
    assert (await client.policy("mta-sts.alias.example"))[0] == 200
    client.mailcow.show_domains()
    assert len(json.loads((await client.get("/api/v1/get/alias-domain/all"))[1])) == 1


# --- the handle -------------------------------------------------------------------------------------------


async def test_administrator_is_held_to_mailcows_rules(client: Client) -> None:
    """Names that exist, are the server's or are none are refused; a deleted domain takes all with it."""
    mailcow = client.mailcow
    for name in ("example.org", "alias.example", "mail.example.org", "a..b", ""):
        with pytest.raises(ValueError, match=r"mailcow would not take|not a domain name"):
            mailcow.add_domain(name)
    with pytest.raises(KeyError):
        mailcow.add_alias("other.example", "unknown.example")
    mailcow.person_sets_policy("example.org", mode="none", mx="a.example", max_age=60)
    mailcow.edit_domain("Example.ORG", active=False, backup_mx=True)
    row = json.loads((await client.get("/api/v1/get/domain/alias.example"))[1])
    assert (row["domain_name"], row["active"], row["backupmx"]) == ("example.org", 0, 1)
    mailcow.delete_domain("example.org")
    assert not mailcow.policies
    assert await client.get("/api/v1/get/alias-domain/all") == (200, "{}")


async def test_port_that_is_taken_is_an_error(client: Client) -> None:
    """Two mailcows do not share a port."""
    with pytest.raises(OSError, match="address already in use"):
        await SimulatedMailcow.start(port=client.mailcow.port)


async def test_waiting_for_what_never_happens_ends(client: Client) -> None:
    """`until` gives up after its time."""
    with pytest.raises(TimeoutError):
        await client.mailcow.until(lambda: False, seconds=0)


@pytest.mark.integration
async def test_five_thousand_domains_are_listed_from_kept_parts(client: Client) -> None:
    """A list is made once for each state, and a change of one row costs one row."""
    mailcow = client.mailcow
    for number in range(5000):
        mailcow.add_domain(f"d{number:04}.example")
    _, text = await client.get("/api/v1/get/domain/all")
    assert len(json.loads(text)) == 5001
    made = listed.cache_info().misses
    await client.get("/api/v1/get/domain/all")
    assert listed.cache_info().misses == made
    mailcow.edit_domain("d2500.example", active=False)
    _, text = await client.get("/api/v1/get/domain/all")
    assert listed.cache_info().misses == made + 1
    assert [row["domain_name"] for row in json.loads(text) if not row["active"]] == ["d2500.example"]
    columns = [{"data": 15, "searchable": True, "search": {"value": "1"}}]
    counts = await client.post("search/domain", {"draw": 7, "start": 0, "length": 0, "columns": columns})
    assert counts == {"draw": 7, "recordsTotal": 5001, "recordsFiltered": 5000, "data": []}
