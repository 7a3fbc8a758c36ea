"""The reading of mailcow's answers: on real recordings, and on what was never recorded but may come."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.host.errors import SidecarError
from sidecar.mailcow.answers import (
    Added,
    AddResult,
    Edited,
    EditResult,
    Exists,
    Matches,
    NoSuchRow,
    Refused,
    read_add,
    read_aliases,
    read_counts,
    read_domains,
    read_edit,
    read_policy_id,
    read_route_probe,
    read_served,
    read_version,
)
from sidecar.mailcow.response import (
    AccessDenied,
    Answer,
    DeniedCause,
    NoSuchRoute,
    NotReadable,
    RedisRefusesWrites,
)
from sidecar.observed import AliasDomain, Domain, Served
from tests.mailcow.recorded import answer, body_of, recorded

# --- lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "read", "name", "least"),
    [
        ("get/domain/all", read_domains, "domain_name", 20),
        ("get/alias-domain/all", read_aliases, "alias_domain", 6),
    ],
)
def test_recorded_lists_are_read_whole_and_in_order(
    path: str, read: Callable[[Answer], tuple[Domain | AliasDomain, ...]], name: str, least: int
) -> None:
    """Each recorded list is read without loss; anything else with status 200 is never an empty list."""
    lists = 0
    for exchange in recorded(path=path):
        body = body_of(exchange)
        if exchange.answer.status == 200 and (isinstance(body, list) or body == {}):
            assert [one.name for one in read(exchange.answer)] == sorted(row[name] for row in body), exchange
            lists += 1
        else:
            with pytest.raises((NotReadable, AccessDenied)):
                read(exchange.answer)
    assert lists > least


@pytest.mark.parametrize("generation", ["file", "native"])
def test_states_of_recorded_domains(generation: str) -> None:
    """Active, inactive, backup MX, relay (which makes a backup MX) and IDN, as recorded."""
    [exchange] = [e for e in recorded(f"{generation}/domains", "get/domain/all") if "IDN together" in e.note]
    found = read_domains(exchange.answer)
    assert {
        Domain("backup.example", active=True, backup_mx=True),
        Domain("example.org", active=True, backup_mx=False),
        Domain("inactive.example", active=False, backup_mx=False),
    } <= set(found)
    assert any(domain.name.startswith("xn--") for domain in found)


def test_states_of_recorded_aliases() -> None:
    """An alias domain has a target and a state; its name is an A-label."""
    last = [
        e for e in recorded("native/alias-domains", "get/alias-domain/all") if isinstance(body_of(e), list)
    ][1]
    assert read_aliases(last.answer) == (
        AliasDomain("alias.example", "example.org", active=True),
        AliasDomain("xn--bcher-kva.example", "example.org", active=False),
    )


GOOD = {"domain_name": "example.org", "active": 1, "backupmx": 0}


@pytest.mark.parametrize(
    ("row", "domain"),
    [
        (
            GOOD | {"domain_name": "Bücher.Example."},
            Domain("xn--bcher-kva.example", active=True, backup_mx=False),
        ),
        (GOOD | {"active": "0", "backupmx": "1"}, Domain("example.org", active=False, backup_mx=True)),
        (GOOD | {"active": True}, Domain("example.org", active=True, backup_mx=False)),
        (GOOD | {"new": {"in": "2027"}}, Domain("example.org", active=True, backup_mx=False)),
    ],
)
def test_a_row_is_read(row: dict[str, Any], domain: Domain) -> None:
    """Names are normalised, numbers may be texts, unknown fields do not matter."""
    assert read_domains(answer([row])) == (domain,)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "a failure inside, or no key"),
        (b"null", "no list"),
        (b"[", "cut off"),
        (b"\xff\xfe[]", "no UTF-8"),
        (b"[" * 100_000, "deeper than the parser goes"),
        (b"<html>It works!</html>", "another server"),
        ([GOOD, {}], "an element with nothing in it"),
        ([GOOD, None], "an element that is no object"),
        ([{"domain_name": "example.org", "active": 1}], "no backupmx"),
        ([{"active": 1, "backupmx": 0}], "no name"),
        ([GOOD | {"domain_name": ""}], "an empty name"),
        ([GOOD | {"domain_name": None}], "a name that is not a text"),
        ([GOOD | {"domain_name": "a b"}], "what is no domain"),
        ([GOOD | {"active": 2}], "a state that does not exist"),
        ([{"type": "danger", "msg": "access_denied"}], "messages in place of rows"),
        ({"type": "error", "msg": "Cannot find attributes in post data"}, "an error with status 200"),
    ],
)
def test_odd_lists_are_not_readable(body: object, why: str) -> None:
    """Nothing but a whole list, or mailcow's `{}`, is an answer."""
    with pytest.raises(NotReadable):
        read_domains(answer(body))
    with pytest.raises(NotReadable):
        read_aliases(answer(body))


def test_no_domains_is_an_answer() -> None:
    """mailcow says `{}` where it has none; whether that is believed is decided elsewhere."""
    assert read_domains(answer({})) == ()
    assert read_aliases(answer([])) == ()


# --- version, counts, probe ------------------------------------------------------------------------------


def test_recorded_versions() -> None:
    """A release, or null where mailcow does not know; all else recorded for that route is no answer."""
    found = set()
    for exchange in recorded(path="get/status/version"):
        if exchange.answer.status == 200 and exchange.answer.body:
            found.add(read_version(exchange.answer))
        else:
            with pytest.raises((NotReadable, AccessDenied)):
                read_version(exchange.answer)
    assert found == {"2025-07", "2025-09", "2026-07a", None}


@pytest.mark.parametrize("body", [{}, [], {"version": 2025}, {"type": "error", "msg": "x"}])
def test_odd_versions(body: object) -> None:
    """What holds no version is no answer, least of all 'unknown version'."""
    with pytest.raises(NotReadable):
        read_version(answer(body))


def test_recorded_counts() -> None:
    """Totals and filtered counts, on both routes."""
    filtered = [e for e in recorded("*/domain-listing-other-routes") if "counts with filter" in e.note]
    assert [read_counts(e.answer) for e in filtered] == [Matches(4, 2), Matches(4, 2)]


def test_a_missing_counts_route_is_distinguished_from_an_odd_answer() -> None:
    """404, and the `{}` of a mailcow that takes `datatables` for a domain, say that there is no route."""
    missing = [
        *(e for e in recorded("native/domain-listing-other-routes") if "datatables" in e.path),
        *(e for e in recorded("file/mta-sts", "search/domain")),
        *(e for e in recorded("native/first-native-version-2025-09", "search/domain")),
    ]
    assert len(missing) >= 3
    for exchange in missing:
        with pytest.raises(NoSuchRoute):
            read_counts(exchange.answer)
    odds: list[object] = [
        [],
        {"recordsTotal": 4},
        {"recordsTotal": "x", "recordsFiltered": 1},
        {"recordsTotal": 1, "recordsFiltered": 2},
    ]
    for odd in odds:
        with pytest.raises(NotReadable) as caught:
            read_counts(answer(odd))
        assert not isinstance(caught.value, NoSuchRoute), odd
    with pytest.raises(NotReadable) as caught:
        read_counts(answer("<html>404 Not Found</html>", 404, "text/html"))
    assert not isinstance(caught.value, NoSuchRoute), "a page is nginx speaking, not mailcow"


def test_recorded_probes() -> None:
    """An empty add tells the generations apart, but not with a read-only key."""
    [native] = [e for e in recorded("native/mta-sts-add", "add/mta-sts") if e.sent == {}]
    assert read_route_probe(native.answer) is True
    probes = [e for e in recorded("file/mta-sts", "add/mta-sts", "POST") if e.sent == {}]
    assert {e.answer.status: read_route_probe(e.answer) for e in probes} == {404: False, 403: None}


@pytest.mark.parametrize(
    "odd",
    [
        answer(),
        answer([]),
        answer({"type": "success", "msg": "Task completed"}),
        answer([{"type": "danger", "msg": "Redis: RedisException: OOM"}]),
        answer("<html>404</html>", 404, "text/html"),
    ],
)
def test_a_probe_concludes_nothing_from_an_odd_answer(odd: Answer) -> None:
    """Neither generation is concluded from an outage."""
    with pytest.raises(NotReadable):
        read_route_probe(odd)


def test_a_probe_passes_a_wrong_key_on() -> None:
    """A refusal that is not about writing is an error."""
    with pytest.raises(AccessDenied):
        read_route_probe(answer({"type": "error", "msg": "authentication failed"}, 401))


# --- policies --------------------------------------------------------------------------------------------


def test_recorded_policies() -> None:
    """200 with text is a policy, 404 is none, an outage or an error page behind a text is no answer."""
    texts = nothing = unreadable = 0
    for exchange in recorded("native/*", "/.well-known/mta-sts.txt", "GET"):
        body, status = exchange.answer.body, exchange.answer.status
        if body == b"(gzip bytes)":
            continue
        if status == 404:
            assert read_served(exchange.answer) == Served(None), exchange
            nothing += 1
        elif status == 200 and body and b"Fatal error" not in body:
            assert read_served(exchange.answer) == Served(body.decode()), exchange
            texts += 1
        else:
            with pytest.raises(NotReadable):
                read_served(exchange.answer)
            unreadable += 1
    assert min(texts, nothing, unreadable) >= 5


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (answer("", 200, "text/plain"), "an empty file"),
        (answer("<html></html>", 200, "text/plain"), "a page that says it is text"),
        (answer("version: STSv1\n  <br />", 200, "text/plain"), "a page behind a text"),
        (answer("version: STSv1\n", 200, "text/html"), "not served as text"),
        (answer(b"mx: \xff\n", 200, "text/plain"), "no UTF-8"),
        (answer("", 204, "text/plain"), "another status"),
        (answer("", 301, "text/plain"), "a redirect, which no sender follows"),
        (answer({"type": "error", "msg": "authentication failed"}, 401), "asked with a key by mistake"),
    ],
)
def test_odd_policies_are_not_readable(odd: Answer, why: str) -> None:
    """What is not plainly a text is neither a policy nor the lack of one."""
    with pytest.raises(NotReadable):
        read_served(odd)


REFUSALS = {
    "OOM command not allowed when used memory > 'maxmemory'",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk",
    "READONLY You can't write against a read only replica",
}


def test_redis_that_refuses_writes_is_named_with_its_own_word() -> None:
    """In each recording of it, by what is served and by what an edit answers in front of its own message."""
    served = [
        e for e in recorded("native/failure-redis", "/.well-known/mta-sts.txt") if b"Fatal" in e.answer.body
    ]
    reasons = set()
    for exchange in served:
        with pytest.raises(RedisRefusesWrites, match="senders cannot read it either") as caught:
            read_served(exchange.answer)
        reasons.add(caught.value.said)
    assert reasons == REFUSALS
    edits = [
        body_of(e) for e in recorded("native/failure-redis", "edit/mta-sts") if b"Redis: " in e.answer.body
    ]
    reasons = set()
    for body in edits:
        with pytest.raises(RedisRefusesWrites) as caught:
            read_add("example.org", answer(body[:1]))  # an add answers that alone, and has written the row
        reasons.add(caught.value.said)
    assert reasons == REFUSALS


def test_another_error_page_does_not_blame_redis() -> None:
    """Nobody should look for a full disk then."""
    page = "version: STSv1\n<br />\n<b>Fatal error</b>:  Allowed memory size exhausted in /web/mta-sts.php"
    with pytest.raises(NotReadable, match="error page") as caught:
        read_served(answer(page, 200, "text/plain"))
    assert not isinstance(caught.value, RedisRefusesWrites)
    assert "Redis" not in str(caught.value)


def test_a_policy_comes_as_it_is_served() -> None:
    """Line ends and what a person wrote in it stay: it is compared, not judged here."""
    text = "version: STSv1\r\nmode: ENFORCE\r\nmx: bücher.example\r\n<not at the beginning: 1\n".replace(
        "<", "x<"
    )
    assert read_served(answer(text, content_type="TEXT/PLAIN; charset=utf-8")) == Served(text)


# --- writes ----------------------------------------------------------------------------------------------


def outcome(read: Callable[[str, Answer], AddResult | EditResult], domain: str, got: Answer) -> object:
    """What is read of a write, "unknown" where the answer does not tell."""
    try:
        return read(domain, got)
    except NotReadable:
        return "unknown"


def test_recorded_adds_end_as_the_database_says() -> None:
    """Added or Exists where there is a row afterwards, Refused or unknown where there is none."""
    seen = set()
    for exchange in recorded("native/mta-sts-*", "add/mta-sts"):
        sent = exchange.sent
        if not isinstance(sent, dict) or exchange.rows is None or not str(sent["domain"]).isascii():
            continue
        domain = sent["domain"].strip().lower()
        there = any(row["domain"] == domain for row in exchange.rows)
        found = outcome(read_add, domain, exchange.answer)
        assert there == isinstance(found, Added | Exists), exchange
        assert isinstance(found, Exists) == ("duplicate" in exchange.note), exchange
        if isinstance(found, Refused):
            assert found.lasting == (found.reason != "access_denied"), exchange
        seen.add(type(found).__name__)
    assert seen == {"Added", "Exists", "Refused", "str"}


def test_recorded_edits_end_as_the_database_says() -> None:
    """Edited where the row has what was sent; NoSuchRow where there is none; else refused or unknown."""
    seen = set()
    for exchange in recorded("native/*", "edit/mta-sts"):
        sent = exchange.sent
        if (
            not isinstance(sent, dict)
            or exchange.rows is None
            or "items" not in sent
            or len(sent["items"]) != 1
        ):
            continue
        domain = sent["items"][0].strip().lower()
        found = outcome(read_edit, domain, exchange.answer)
        row = next((row for row in exchange.rows if row["domain"] == domain), None)
        match found:
            case Edited():
                assert row is not None, exchange
                for name in {"mode", "max_age"} & sent["attr"].keys():
                    assert row[name] == str(sent["attr"][name]), exchange
            case NoSuchRow():
                assert row is None or "cannot switch it off" in exchange.note, exchange
            case Refused(lasting=lasting):
                assert lasting, exchange
            case _:
                assert not exchange.answer.body, exchange
        seen.add(type(found).__name__)
    assert seen == {"Edited", "NoSuchRow", "Refused", "str"}


def test_a_write_is_found_behind_other_messages() -> None:
    """Redis that refuses writes and a database upgrade add messages; the one about the write counts."""
    edits = [e for e in recorded("native/failure-redis", "edit/mta-sts") if b"Redis: " in e.answer.body]
    assert len(edits) == 3
    assert {type(read_edit("example.org", e.answer)) for e in edits} == {Edited}


def message(kind: str, msg: object, *log: object) -> dict[str, object]:
    """A message about a write of mailboxes (`log`: action and kind), or one without a log."""
    return {"type": kind, "log": ["mailbox", *log], "msg": msg} if log else {"type": kind, "msg": msg}


UPGRADED = {"type": "success", "log": ["init_db_schema"], "msg": "db_init_complete"}
OLD_DEATH = {
    "type": "danger",
    "log": ["exception_handler"],
    "msg": "An unknown error occured: 1062 access_denied",
}
REDIS = {"type": "danger", "msg": "Redis: RedisException: OOM, not access_denied"}
DUPLICATE = (
    "SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'example.org' for key 'PRIMARY'"
)
SQL_READ_ONLY = "SQLSTATE[HY000]: General error: 1290 The MariaDB server is running with --read-only"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"type": "success", "msg": "Task completed"}, Added()),
        ([UPGRADED, message("success", ["object_modified", "example.org"], "add", "mta_sts")], Added()),
        ([message("danger", DUPLICATE, "add", "mta_sts", {})], Exists()),
        ([REDIS, message("danger", DUPLICATE, "add", "mta_sts", {})], Exists()),
        ([message("danger", DUPLICATE)], Exists()),
        ([message("danger", ["mx_invalid", "*"], "add", "mta_sts")], Refused("mx_invalid *", lasting=True)),
        ([message("danger", "access_denied", "add", "mta_sts")], Refused("access_denied", lasting=False)),
        ([message("danger", SQL_READ_ONLY, "add", "mta_sts")], Refused(SQL_READ_ONLY, lasting=False)),
        ([UPGRADED], "unknown"),
        ([REDIS], "unknown"),
        ([OLD_DEATH], "unknown"),
        ([message("danger", DUPLICATE, "add", "domain", {})], "unknown"),
        ({"type": "error", "msg": "Cannot find attributes in post data"}, "unknown"),
        ([], "unknown"),
        (b"", "unknown"),
    ],
)
def test_adds(body: object, expected: object) -> None:
    """Only messages about this very write count; without one the outcome is unknown."""
    assert outcome(read_add, "example.org", answer(body)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([message("success", ["object_modified", "example.org"], "edit", "mta_sts")], Edited()),
        ([UPGRADED, message("success", ["object_modified", "example.org"], "edit", "mta_sts")], Edited()),
        ([message("success", ["object_modified", "example.net"], "edit", "mta_sts")], "unknown"),
        ([message("danger", "access_denied", "edit", "mta_sts")], NoSuchRow()),
        (
            [message("danger", ["version_invalid", "STSv1"], "edit", "mta_sts")],
            Refused("version_invalid STSv1", lasting=True),
        ),
        ([message("danger", SQL_READ_ONLY, "edit", "mta_sts")], Refused(SQL_READ_ONLY, lasting=False)),
        ({"type": "success", "msg": "Task completed"}, "unknown"),
        ([REDIS], "unknown"),
        (b"", "unknown"),
    ],
)
def test_edits(body: object, expected: object) -> None:
    """A success that names no item is none, least of all the object that says so."""
    assert outcome(read_edit, "example.org", answer(body)) == expected


# --- anything at all -------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "msg", "log", "version", "domain_name", "active", "backupmx", "recordsTotal"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
BODIES = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())
STATUSES = st.sampled_from([200, 200, 200, 301, 401, 403, 404, 405, 500, 502]) | st.integers(100, 599)
READERS: list[Callable[[Answer], object]] = [
    read_version,
    read_domains,
    read_aliases,
    read_counts,
    read_route_probe,
    read_served,
    lambda got: read_add("example.org", got),
    lambda got: read_edit("example.org", got),
]


@given(STATUSES, st.sampled_from(["application/json", "text/html; charset=utf-8", "text/plain", ""]), BODIES)
def test_any_answer_is_read_or_refused(status: int, content_type: str, body: bytes) -> None:
    """Whatever comes, a reader returns a value or raises one of the two kinds of trouble, nothing else."""
    got = Answer("GET it", status, content_type, body)
    for read in READERS:
        with suppress(SidecarError):
            read(got)


@given(STATUSES.filter(lambda status: status != 200), BODIES)
def test_without_status_200_nothing_is_listed_or_written(status: int, body: bytes) -> None:
    """The status comes first: no body makes an answer of an error."""
    for read in (read_domains, read_aliases, *READERS[-2:]):
        with pytest.raises(SidecarError):
            read(Answer("GET it", status, "application/json", body))


# --- policy ids ------------------------------------------------------------------------------------------

PAGE = "/inc/ajax/dns_diagnostics.php?domain="


def test_recorded_pages_tell_the_id_in_the_database() -> None:
    """Of a domain and of an alias domain, which has its target's."""
    found = {
        (e.path.removeprefix(PAGE), read_policy_id(e.path.removeprefix(PAGE), e.answer))
        for e in recorded("native/policy-readback")
        if e.path.startswith(PAGE) and e.key is not None and b"_mta-sts" in e.answer.body
    }
    rows = [e.rows for e in recorded("native/policy-readback") if e.rows]
    (id_,) = {row["id"] for row in rows[0] if row["domain"] == "example.org"}
    assert found == {("example.org", id_), ("alias.example", id_)}


def test_recorded_page_without_key_or_domain() -> None:
    """mailcow says so with status 200."""
    pages = [e for e in recorded("native/policy-readback") if e.path.startswith(PAGE)]
    (without_key,) = [e.answer for e in pages if e.key is None]
    with pytest.raises(AccessDenied) as caught:
        read_policy_id("example.org", without_key)
    assert caught.value.cause is DeniedCause.NO_KEY
    (unknown,) = [e.answer for e in pages if e.path.endswith("unknown.example")]
    assert read_policy_id("unknown.example", unknown) is None


def page(*rows: tuple[str, str, str, str]) -> Answer:
    """mailcow's page: name, type, what should be there, what is there."""
    cells = "".join(
        f'<tr><td>{name}</td>\n<td>{kind}</td>\n<td class="dns-found">{wanted}</td><td>{there}</td></tr>'
        for name, kind, wanted, there in rows
    )
    return answer(f"<table>{cells}</table>", content_type="text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("got", "found"),
    [
        (page(("_mta-sts.example.org", "TXT", "v=STSv1;id=7;", "v=STSv1;id=6;")), "7"),
        # mailcow keeps the version in the case in which it was sent
        (page(("_mta-sts.example.org", "TXT", "v=stsv1;id=7;", "")), "7"),
        # what is in the DNS is not what should be there; another domain's row is not this one's
        (page(("example.org", "TXT", "x", "v=STSv1;id=6;"), ("_mta-sts.b.example", "TXT", "v=STSv1;id=5;", "")), None),
        (page(("a_mta-sts.example.org", "TXT", "v=STSv1;id=5;", "")), None),
        (page(), None),
    ],
)  # fmt: skip
def test_page_is_read(got: Answer, found: str | None) -> None:
    """The third cell of one row."""
    assert read_policy_id("example.org", got) == found


@pytest.mark.parametrize(
    "odd",
    [
        answer(b"", content_type="text/html"),
        answer("<table><tr><td>mta-sts.example.org</td>", content_type="text/html"),
        # a row without an id in it
        page(("_mta-sts.example.org", "TXT", "soon", "")),
        answer("<html>", 502, "text/html"),
    ],
)
def test_odd_page_is_not_readable(odd: Answer) -> None:
    """Never taken for 'no policy'."""
    with pytest.raises(NotReadable):
        read_policy_id("example.org", odd)
