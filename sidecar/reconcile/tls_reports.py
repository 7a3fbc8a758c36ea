"""What TLS reports say of each domain, for the picture of a pass: read out of the store when it changed, else remembered.

Rules for every editor. Only a summary of each domain is kept in memory. A pass waits for this for `BUDGET_S` at most:
a domain whose reports were never read holds its step up until they are (`UNREAD`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.formats.mtasts_policy import Policy
from sidecar.host.errors import SidecarError
from sidecar.observed import NO_REPORTS, DomainList, Observed, Seen, Sight, Unseen
from sidecar.observed.mailcow import policy_seen
from sidecar.observed.reports import UNREAD, ReportEvidence
from sidecar.plan.policy_ids import served_to
from sidecar.reports.store import DAY_S, ReportStore
from sidecar.rollout.reports import HISTORY_DAYS, evidence_of

BUDGET_S = 2.0


@dataclass(frozen=True, slots=True)
class _ReadReports:
    """What was read of a domain, and from what."""

    made_from: tuple[object, int, Policy | None]
    evidence: ReportEvidence


class ReportReader:
    """Reads the store of reports; its calls block, so they belong in a thread."""

    def __init__(self, store: ReportStore) -> None:
        self._store = store
        self._known: dict[str, _ReadReports] = {}
        self._stamps: Mapping[str, tuple[int, int]] = {}
        self._signature: object = None

    def read(self, observed: Observed) -> Sight[Mapping[str, ReportEvidence]]:
        """The evidence by domain, for those domains of this mailcow that reports are about."""
        if not self._store.exists:
            self._known.clear()
            return NO_REPORTS
        day, since = int(observed.now // DAY_S), observed.now - HISTORY_DAYS * DAY_S
        listed = observed.domains.value if isinstance(observed.domains, Seen) else DomainList((), ())
        targets: dict[str, str | None] = {domain.name: None for domain in listed.domains}
        targets |= listed.targets
        found: dict[str, ReportEvidence] = {}
        try:
            signature = (self._store.signature(), day)
            if signature != self._signature:
                self._stamps, self._signature = self._store.stamps(since), signature
            self._known = {
                name: one for name, one in self._known.items() if name in self._stamps and name in targets
            }
            end = time.monotonic() + BUDGET_S
            for name, target in targets.items():
                if name not in self._stamps:
                    continue
                served = served_to(observed, name, target)
                current = policy_seen(served)
                made_from = (self._stamps[name], day, current)
                known = self._known.get(name)
                if (known is None or known.made_from != made_from) and time.monotonic() < end:
                    reported, holdings = self._store.reported(name, since), self._store.holdings(name, since)
                    known = _ReadReports(made_from, evidence_of(reported, holdings, current, observed.now))
                    self._known[name] = known
                found[name] = UNREAD if known is None else known.evidence
        except SidecarError as error:
            return Unseen(str(error), observed.now)
        return Seen(found, observed.now)
