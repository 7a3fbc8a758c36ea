"""Whether outgoing mail is checked, and what an answer of postfix-tlspol means."""

from dataclasses import replace

import pytest

from sidecar.formats.socketmap import Answer, Reply
from sidecar.observed import Mailcow, Observed, Project, Seen, Unseen
from sidecar.plan.outbound import Checks, applied, outbound
from tests.worlds import FILE_MAILCOW, NATIVE, NOW, World, container, observed

MAPS = "proxy:mysql:/opt/postfix/conf/sql/mysql_tls_policy_override_maps.cf socketmap:inet:postfix-tlspol:8642:QUERY"


def world(maps: str | None = MAPS, mailcow: Mailcow = NATIVE, state: str | None = "running") -> Observed:
    """A mailcow whose Postfix has this setting, with postfix-tlspol in this state (None: no container)."""
    own = () if state is None else (replace(container("postfix-tlspol-mailcow"), state=state),)
    project = Seen(Project("mailcow", own), NOW)
    return replace(observed(World(mailcow=mailcow)), policy_maps=Seen(maps, NOW), project=project)


@pytest.mark.parametrize(
    ("seen", "checks", "said"),
    [
        (world(), Checks.YES, "are checked"),
        (world(state="exited"), Checks.STOPPED, "it is exited"),
        (world(state=None), Checks.STOPPED, "it has no container"),
        (world("proxy:mysql:/x"), Checks.OFF, "not set up"),
        (world(None), Checks.OFF, "not set up"),
        (world("socketmap:inet:h:1:QUERY/x"), Checks.OFF, "not set up"),
        (world("proxy:mysql:/x", FILE_MAILCOW, None), Checks.NO, "2025-09 and later do"),
        (world(None, FILE_MAILCOW, None), Checks.NO, "2025-09 and later do"),
        (world("socketmap:inet:tlspol.lan:8642:QUERY", FILE_MAILCOW, None), Checks.YES, "asks tlspol.lan"),
        (replace(world(), policy_maps=Unseen("no file", NOW)), Checks.UNKNOWN, "no file"),
        (
            replace(world(mailcow=FILE_MAILCOW), policy_maps=Unseen("no file", NOW)),
            Checks.NO,
            "does not check",
        ),
        (replace(world(), project=Unseen("no engine", NOW)), Checks.UNKNOWN, "no engine"),
    ],
)
def test_setting_and_container_say_whether_it_checks(seen: Observed, checks: Checks, said: str) -> None:
    """The setting counts, not the version alone: a person may have set it up before, or switched it off since."""
    found = outbound(seen)
    assert found.checks is checks
    assert said in found.message
    assert (found.remedy is not None) == (checks in {Checks.NO, Checks.OFF, Checks.STOPPED})


def test_it_is_asked_where_postfix_asks() -> None:
    """Host, port and table of the setting."""
    found = outbound(world("socketmap:inet:other:99:QUERYwithTLSRPT, static:x"))
    assert (found.place, found.table) == (("other", 99), "QUERYwithTLSRPT")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (
            Reply(Answer.OK, "secure match=mx1.example:.mail.example servername=hostname"),
            "MTA-STS is enforced: mail goes only to mx1.example, .mail.example,",
        ),
        (Reply(Answer.OK, "dane-only"), "DANE is enforced"),
        (Reply(Answer.OK, "dane"), "DANE where"),
        (Reply(Answer.OK, "encrypt"), "TLS level encrypt"),
        (Reply(Answer.NOTFOUND, ""), "no policy is enforced"),
        (Reply(Answer.TEMP, ""), "not known for now"),
        (Reply(Answer.TIMEOUT, ""), "not known for now"),
        (Reply(Answer.PERM, "no"), "refuses the question"),
    ],
)
def test_answer_in_words(reply: Reply, said: str) -> None:
    """What happens to mail, and the words that Postfix is given."""
    found = applied(reply)
    assert said in found.message
    assert found.words == reply.text
