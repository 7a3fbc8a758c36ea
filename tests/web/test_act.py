"""Check now, apply now, adopt: who may, and what becomes of it."""

import json
from dataclasses import replace

import pytest

from sidecar.host.errors import TemporaryError
from sidecar.observed import Seen
from tests.plan.publish.test_picture import settings
from tests.web.fakes import source_of
from tests.web.visitor import TOKEN, visiting
from tests.worlds import FILE_MAILCOW, NOW

FORMS = [
    ("actions/check", {}, ("check", None), "../?said=check"),
    (
        "actions/check",
        {"domain": "choir.example", "back": "domain"},
        ("check", "choir.example"),
        "../domains/choir.example?said=check",
    ),
    ("actions/apply", {}, ("apply", None), "../?said=apply"),
    ("actions/large-dns-plan", {}, ("let-through", "large-dns-plan"), "../?said=large-dns-plan"),
    (
        "actions/adopt",
        {"domain": "old-hand.example", "back": "domain"},
        ("adopt", ("old-hand.example",)),
        "../domains/old-hand.example?said=adopt",
    ),
]


@pytest.mark.parametrize(("path", "form", "asked", "place"), FORMS)
async def test_form_of_a_session_is_accepted_and_redirects_back(
    path: str, form: dict[str, str], asked: tuple[str, object], place: str
) -> None:
    """And the page says that it was asked for."""
    source = source_of()
    async with visiting(source, token=TOKEN) as visitor:
        csrf = await visitor.log_in()
        status, _, response = await visitor.post(path, {**form, "csrf": csrf})
        assert (status, response.headers["Location"]) == (303, place)
        assert source.requests == [asked]
        _, text, _ = await visitor.get(place.removeprefix("../"))
        assert 'class="said"' in text


@pytest.mark.parametrize(("path", "form", "asked", "place"), FORMS)
async def test_nobody_else_can(path: str, form: dict[str, str], asked: object, place: str) -> None:
    """Each of the guards alone keeps it out."""
    source = source_of()
    async with visiting(source) as visitor:
        status, text, _ = await visitor.post(path, form)
        assert status == 403, "no token is set"
        assert "MTA_STS_WEB_TOKEN" in text
    async with visiting(source, token=TOKEN) as visitor:
        assert (await visitor.post(path, form))[0] == 401, "nobody is logged in"
        csrf = await visitor.log_in()
        right = {**form, "csrf": csrf}
        evil = "https://evil.example"
        for sent, headers, why in (
            (form, {}, "no secret of the form"),
            ({**form, "csrf": ""}, {}, "an empty one"),
            ({**form, "csrf": csrf[:-1] + "_"}, {}, "a wrong one"),
            (right, {"Origin": evil}, "from elsewhere"),
            (right, {"Origin": "null"}, "from a sandbox"),
            (right, {"Origin": ""}, "from who knows where"),
            (right, {"Sec_Fetch_Site": "same-site"}, "from a sister site"),
        ):
            assert (await visitor.post(path, dict(sent), **headers))[0] == 403, why
        assert (await visitor.get(path))[0] == 405, "a link changes nothing"
    async with visiting(source, token=TOKEN) as visitor:
        other = await visitor.log_in()
        assert other != csrf
        assert (await visitor.post(path, right))[0] == 403, "the form of another session"
    assert source.requests == []


@pytest.mark.parametrize(
    ("form", "status"), [({"domain": "elsewhere.example"}, 404), ({"domain": "../.."}, 404), ({}, 400)]
)
async def test_only_what_is_there_can_be_adopted(form: dict[str, str], status: int) -> None:
    """And nothing is noted else."""
    source = source_of()
    async with visiting(source, token=TOKEN) as visitor:
        csrf = await visitor.log_in()
        assert (await visitor.post("actions/adopt", {**form, "csrf": csrf}))[0] == status
    assert source.requests == []


async def test_program_with_the_token_can_too() -> None:
    """Without a form, since no page of a stranger can make a browser send that header."""
    source = source_of()
    token = {"Authorization": f"Bearer {TOKEN}"}
    async with visiting(source, token=TOKEN) as visitor:
        for path, body in (
            ("check", {}),
            ("check", {"domain": "choir.example"}),
            ("apply", {}),
            ("adopt", {"domain": "old-hand.example"}),
        ):
            status, text, _ = await visitor.ask("POST", f"api/v1/actions/{path}", json=body, headers=token)
            assert status == 202
            assert json.loads(text)["noted"] == path
    assert source.requests == [
        ("check", None),
        ("check", "choir.example"),
        ("apply", None),
        ("adopt", ("old-hand.example",)),
    ]


async def test_file_can_be_adopted_where_one_is_served() -> None:
    """On a mailcow with a policy for each domain that is refused as the command line does, with the same words."""
    source = source_of()
    token = {"Authorization": f"Bearer {TOKEN}"}
    assert source.report is not None
    async with visiting(source, token=TOKEN) as visitor:
        status, text, _ = await visitor.ask(
            "POST", "api/v1/actions/adopt", json={"domain": "*"}, headers=token
        )
        assert status == 400
        assert "this mailcow serves a policy for each domain, and no policy" in json.loads(text)["detail"]
    by_file = replace(source.report.observed, mailcow=Seen(FILE_MAILCOW, NOW))
    source.report = replace(source.report, observed=by_file)
    async with visiting(source, token=TOKEN) as visitor:
        status, _, _ = await visitor.ask("POST", "api/v1/actions/adopt", json={"domain": "*"}, headers=token)
        assert status == 202
    assert source.requests == [("adopt", ("*",))]


async def test_api_takes_no_cookie_for_an_action() -> None:
    """A browser sends cookies unasked."""
    source = source_of()
    async with visiting(source, token=TOKEN) as visitor:
        await visitor.log_in()
        status, _, _ = await visitor.ask("POST", "api/v1/actions/apply", json={})
        assert status == 403
    async with visiting(source) as visitor:
        assert (await visitor.ask("POST", "api/v1/actions/apply", json={}))[0] == 403, "no token is set"
    assert source.requests == []


async def test_request_that_cannot_be_stored_is_an_error() -> None:
    """With the reason, and when to come back."""
    source = source_of(raises=TemporaryError("writing the state failed:\nthe disk is full"))
    async with visiting(source, token=TOKEN) as visitor:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        status, text, response = await visitor.ask("POST", "api/v1/actions/apply", headers=headers)
        assert status == 503
        assert "the disk is full" in json.loads(text)["detail"]
        assert response.headers["Retry-After"] == "10"


async def test_dns_record_can_be_adopted_where_records_are_published() -> None:
    """By form and by program; other names are refused, and so is every name if no records are published."""
    source = source_of()
    token = {"Authorization": f"Bearer {TOKEN}"}
    name = "_mta-sts.choir.example"
    async with visiting(source, token=TOKEN) as visitor:
        path = "api/v1/actions/adopt-dns"
        status, text, _ = await visitor.ask("POST", path, json={"name": name}, headers=token)
        assert status == 404
        assert "does not publish DNS records" in json.loads(text)["detail"]
    source.settings = settings("upsert")
    async with visiting(source, token=TOKEN) as visitor:
        for wrong, code in (("choir.example", 404), ("_mta-sts.elsewhere.example", 404), ("", 400)):
            status, _, _ = await visitor.ask("POST", path, json={"name": wrong}, headers=token)
            assert status == code
        assert (await visitor.ask("POST", path, json={"name": name}, headers=token))[0] == 202
        form = {"domain": name, "back": "domain", "csrf": await visitor.log_in()}
        status, _, response = await visitor.post("actions/adopt-dns", form)
        assert (status, response.headers["Location"]) == (303, "../domains/choir.example?said=adopt-dns")
    assert source.requests == [("adopt-dns", (name,))] * 2
