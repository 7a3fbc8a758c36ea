"""What the worker reports about a write that it could not read back."""

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.dns.publish.messages import ChangeMessage, Provider, Request
from sidecar.dns.publish.port import Replace
from sidecar.dns.publish.worker import answer
from sidecar.observed.record_sets import ABSENT, Key, RecordSet, RecordType

KEY = Key("_mta-sts.example.org", RecordType.TXT)


@pytest.mark.parametrize(
    "gone", ["the zone example.org was read as empty", "the zone example.org is not listed"]
)
def test_a_write_that_cannot_be_read_back_is_not_a_refusal(
    monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """The change may have been made: the daemon has to read it again."""
    pytest.importorskip("octodns")
    from octodns.provider.base import BaseProvider  # noqa: PLC0415 - only where it is installed
    from octodns.record import Record  # noqa: PLC0415

    class InMemory(BaseProvider):  # type: ignore[misc]  # octodns has no types
        log = logging.getLogger("test")
        SUPPORTS_GEO = SUPPORTS_DYNAMIC = False
        SUPPORTS = frozenset({"TXT"})
        applied = 0

        def list_zones(self) -> list[str]:
            return [] if self.applied and "listed" in gone else ["example.org."]

        def populate(self, zone: Any, target: bool = False, lenient: bool = False) -> bool:  # noqa: FBT002
            if not self.applied:
                data = {"type": "TXT", "ttl": 300, "values": ["x"]}
                zone.add_record(Record.new(zone, "", data, source=self, lenient=True))
            return True

        def apply(self, plan: Any) -> int:
            InMemory.applied += 1
            return 1

    monkeypatch.setitem(sys.modules, "here", SimpleNamespace(InMemory=InMemory))
    change = Replace(KEY, ABSENT, RecordSet(("v=STSv1;id=1;",), 300))
    request = Request(
        do="write",
        provider=Provider(class_="here.InMemory", arguments={}),
        seconds=5,
        zone="example.org",
        changes=(ChangeMessage.from_change(change),),
    )
    found = answer(request)
    assert (InMemory.applied, found.trouble) == (1, "")
    (result,) = found.results
    assert result.outcome == "unclear"
    assert gone in result.reason
