"""Sender checks beside the passes: which domains are checked, and when a check begins early.

Rule for every editor: no pass waits for a check. When a check is due is decided in `plan.schedule`, what its result means
in `reconcile.learn.checks`.
"""

from collections.abc import Iterable
from dataclasses import replace

from sidecar.formats.domain_name import to_unicode
from sidecar.host.clock import Clock
from sidecar.host.lean import structlog
from sidecar.mailcow.front import Fronts
from sidecar.observed import Conf, Observed, Seen
from sidecar.observed.notice import Level, Notice, NoticeCode
from sidecar.plan.elsewhere import elsewhere_targets
from sidecar.plan.policy_ids import policies_served
from sidecar.plan.proxy import front_targets
from sidecar.plan.schedule import check_interval, checks_due
from sidecar.rollout.reports import wants_check
from sidecar.settings import Settings
from sidecar.verify.background import BATCH, Checker, probing_for
from sidecar.verify.elsewhere import Elsewhere
from sidecar.verify.run import Probing

CHECK_AGAIN_S = 300.0
"""A domain whose check had no result is not checked again earlier: the others come first."""

log = structlog.get_logger()


class SenderChecks:
    """Begins checks of this mailcow's domains as senders see them."""

    def __init__(self, settings: Settings, clock: Clock, ports: tuple[int, int], *, patient: bool) -> None:
        """`ports` replace 443 and 25 of the probed servers. `patient`: a single pass waits for what is shown only."""
        self._settings = settings
        self._ports = ports
        self._patient = patient
        self._fronts = Fronts(clock)
        self._elsewhere = Elsewhere(clock)
        self._rushed: frozenset[str] = frozenset()
        """Domains that are checked first."""
        self._begun: dict[str, float] = {}
        """When the checks of the last minutes began."""
        self._accused: dict[str, float] = {}
        """For which report (its time) a domain was checked early."""
        self.checker = Checker(clock)

    async def close(self) -> None:
        await self.checker.close()
        await self._fronts.close()
        await self._elsewhere.close()

    def trouble(self) -> tuple[Notice, ...]:
        """Why the checks do not work."""
        trouble = self.checker.trouble
        if trouble is None:
            return ()
        return (Notice(Level.WARNING, NoticeCode.VERIFY_TROUBLE, "verify", trouble),)

    def rush(self, domains: Iterable[str]) -> None:
        """These domains are checked first."""
        self._rushed |= frozenset(domains)

    def rush_accused(self, observed: Observed) -> frozenset[str]:
        """Domains with a new report of refused mail are checked first: once for each report, and not too often."""
        if not isinstance(observed.reports, Seen) or not self._settings.verify:
            return frozenset()
        accused: set[str] = set()
        for name, evidence in observed.reports.value.items():
            record = observed.memory.checks.get(name)
            checked_at = max(record.at if record else 0.0, self._accused.get(name, 0.0))
            if wants_check(evidence, checked_at, observed.now) and self._settings.manages(name):
                log.info("early sender check", domain=to_unicode(name), reason=evidence.refused)
                self._accused[name] = observed.now
                accused.add(name)
        self._accused = {name: at for name, at in self._accused.items() if name in observed.reports.value}
        self.rush(accused)
        return frozenset(accused)

    def begin(self, observed: Observed) -> None:
        """Begins the checks that are due, a batch of them; does nothing while a batch is under way."""
        conf, domains = observed.conf, observed.domains
        if not self._settings.verify or self.checker.busy:
            return
        if not isinstance(conf, Seen) or not isinstance(domains, Seen):
            return
        meant = policies_served(observed, self._settings)
        at = {name: record.at for name, record in observed.memory.checks.items()}
        at.update({view.domain: view.at for view in observed.views})
        interval = check_interval(self._settings.intervals.check, len(meant))
        again_s = min(CHECK_AGAIN_S, interval)
        self._begun = {name: t for name, t in self._begun.items() if 0 <= observed.now - t < again_s}
        waits = self._begun.keys() - self._rushed
        due = checks_due(meant.keys() - waits, at, self._rushed, observed.now, interval, len(meant))
        batch = due[:BATCH]
        self._begun |= dict.fromkeys(batch, observed.now)
        # Names that are not (or no longer) domains of this mailcow are forgotten.
        self._rushed = (self._rushed & {d.name for d in domains.value.domains}) - frozenset(batch)
        https, smtp = self._ports
        probing = replace(self._probing(conf.value), https_port=https, smtp_port=smtp)
        policies = {name: meant[name] for name in batch}
        self.checker.begin(policies, probing, shared=observed.one_file, waiting=len(due))

    async def observe(self, observed: Observed) -> Observed:
        """The picture with what answers at the policy hosts: a web server in front, or another server's policy."""
        if not self._settings.verify:
            return observed
        targets = front_targets(observed, self._settings)
        observed = replace(observed, fronts=await self._fronts.sight(targets, patient=self._patient))
        domains = elsewhere_targets(observed, self._settings)
        if not domains or not isinstance(observed.conf, Seen):
            return observed
        probing = self._probing(observed.conf.value)
        found = await self._elsewhere.sight(domains, probing, patient=self._patient)
        return replace(observed, elsewhere=found)

    def _probing(self, conf: Conf) -> Probing:
        named = self._settings.extra_roots
        roots = None if named is None else self._settings.mailcow_dir / named
        return probing_for(conf, self._settings.resolver, roots)
