"""`sidecar init`, from top to bottom: look, print what was found, offer each change, write, print what comes next.

Rules for every editor: nothing is written before the last answer, and nothing at all without consent; then all of it is
written, or nothing. No finding contains a key or a password. No copy of mailcow.conf is left anywhere: there is no state
folder yet, and mailcow's update may commit files in its directory. The old text is kept in memory until everything is
written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sidecar.host.clock import SystemClock
from sidecar.host.errors import PermanentError, SidecarError, TemporaryError
from sidecar.host.exits import Exit
from sidecar.host.files import replace_file
from sidecar.host.plain_file import read_plain
from sidecar.init import compose_rules, mailcow_rules
from sidecar.init.findings import Findings, InitFinding, Mark
from sidecar.init.look import Directory, look
from sidecar.init.override import SERVICE
from sidecar.init.proposals import (
    PAGE_KEY_QUESTION,
    BlockedProposal,
    Proposal,
    Settled,
    Step,
    needs_key,
    page_key_instructions,
    propose_allow,
    propose_key,
    propose_service,
)
from sidecar.init.terminal import Consent, Streams, Terminal
from sidecar.mailcow.database import Database, new_key

_READABLE = 0o644
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Change:
    """A file's content; `before` is None for a new file. `path` is not a symbolic link."""

    path: Path
    before: bytes | None
    after: bytes


class NotUndoneError(PermanentError):
    """A write failed, and one before it could not be undone."""


def write_all(changes: Sequence[Change]) -> None:
    """Makes all these changes; blocks. If one fails, those before it are undone.

    Raises TemporaryError if somebody else changed a file since it was read, what `replace_file` raises, and
    NotUndoneError if a change could not be undone.
    """
    done: list[Change] = []
    try:
        for change in changes:
            _write(change.path, change.before, change.after)
            done.append(change)
    except BaseException as error:
        for change in reversed(done):
            try:
                if change.before is not None:
                    _write(change.path, change.after, change.before)
                elif _content(change.path) == change.after:
                    change.path.unlink()
            except (SidecarError, OSError) as trouble:
                raise NotUndoneError(
                    f"{error}. {change.path} had been changed already, and could not be restored: {trouble}"
                ) from error
        raise


def _write(path: Path, before: bytes | None, after: bytes) -> None:
    def unchanged() -> None:
        if _content(path) != before:
            raise TemporaryError(
                f"{path} was changed by another program meanwhile, so nothing was written: run init again"
            )

    replace_file(path, after, mode=_READABLE, before_rename=unchanged)


def _content(path: Path) -> bytes | None:
    try:
        return read_plain(path, _LARGEST)
    except FileNotFoundError:
        return None


TAKE_EFFECT = f"docker compose build {SERVICE} && docker compose up -d"

ACCESS_IS_AUTOMATIC = (
    "No API key is needed: when the sidecar starts, it uses mailcow's read-write key, or creates one that only its own "
    "address may use. `manage: {access: false}` in config.yml forbids that."
)


FREE = "Nothing found here keeps mailcow or the sidecar from starting."
STOPPED = "First do what is marked with `stop`: until then mailcow or the sidecar would not start."


@dataclass(frozen=True, slots=True)
class InitOptions:
    """The options of the command line."""

    yes: bool = False
    dry_run: bool = False
    check: bool = False
    """Only look."""


def template() -> bytes:
    """The override file for a mailcow that has none: the one source of the service's text."""
    return (files("sidecar.init") / "service.yml").read_bytes()


def run_init(mailcow_dir: Path, options: InitOptions, streams: Streams, *, now: float | None = None) -> Exit:
    """Checks the mailcow directory and sets up what the sidecar needs there; blocks. `now` is for tests.

    UNREADABLE if there is no mailcow, FAILED if a person must do something first or a write failed; else OK, whether
    changes were made, shown or declined.
    """
    consent = Consent.YES if options.yes else Consent.ASK if streams.interactive else Consent.SHOW
    terminal = Terminal(streams, Consent.SHOW if options.dry_run else consent)
    try:
        directory = look(mailcow_dir, SystemClock().now() if now is None else now)
    except PermanentError as error:
        terminal.trouble(str(error), "")
        return Exit.UNREADABLE
    terminal.plain(f"The mailcow directory {directory.path}:\n")
    findings = check(directory)
    terminal.findings(findings)
    terminal.plain("")
    if options.check:
        stopped = any(finding.mark is Mark.STOP for finding in findings)
        terminal.say(STOPPED if stopped else FREE)
        return Exit.FAILED if stopped else Exit.OK
    if terminal.consent is Consent.SHOW:
        terminal.say(
            "Nothing is written (--dry-run); this is what would be offered:"
            if options.dry_run
            else "There is no terminal to ask questions on, so nothing is written; this is what would be offered. "
            "Run it with `docker run -it`, or with --yes to accept everything:"
        )
        terminal.plain("")
    stops = frozenset(finding.code for finding in findings if finding.mark is Mark.STOP)
    visit = _Visit(terminal, directory, stops, conf=directory.conf_data, override=directory.override.data)
    visit.offer_all()
    return visit.finish()


@dataclass(slots=True)
class _Visit:
    """One way through the questions; `conf` and `override` are the files as agreed so far."""

    terminal: Terminal
    directory: Directory
    stops: frozenset[str]
    conf: bytes
    override: bytes | None
    offered: int = 0
    blocked: int = 0

    def offer_all(self) -> None:
        if needs_key(self.directory) and Database.known(self.directory.conf):
            self.terminal.say(ACCESS_IS_AUTOMATIC)
        elif needs_key(self.directory) and self._key_is_for_conf():
            self.conf = self._offer(propose_key(self.directory, new_key())) or self.conf
        self.conf = self._offer(propose_allow(self.directory, self.conf, self.stops)) or self.conf
        service = propose_service(self.directory, template(), self.stops)
        self.override = self._offer(service) or self.override

    def finish(self) -> Exit:
        """Writes what was agreed to, and prints what comes next."""
        say, found = self.terminal.say, self.directory
        # mailcow.conf first: a key without the service does no harm, the service without a key cannot do anything.
        changes = [Change(found.conf_path, found.conf_data, self.conf)]
        if self.override is not None:
            changes.append(Change(found.override.path, found.override.data, self.override))
        changes = [change for change in changes if change.before != change.after]
        if self.terminal.consent is Consent.SHOW:
            changes = []
        if changes:
            try:
                write_all(changes)
            except SidecarError as error:
                self.terminal.trouble(str(error), "")
                say("Not all was written." if isinstance(error, NotUndoneError) else "Nothing was changed.")
                return Exit.FAILED
            say(f"Written: {', '.join(change.path.name for change in changes)}.")
        elif self.offered == 0 and not self.blocked:
            say("Nothing to change.")
        else:
            say("Nothing was written.")
        if self.blocked or self.stops:
            say("Not everything is set up yet: see above.")
            return Exit.FAILED
        if changes or not self.offered:
            lead = "To make it take effect" if changes else "If that was not done yet"
            self.terminal.plain(f"\n{lead}, in the mailcow directory on the host:\n\n  {TAKE_EFFECT}\n")
        return Exit.OK

    def _key_is_for_conf(self) -> bool:
        """Whether a key may be set in mailcow.conf: asks whether it would replace another one."""
        match self.terminal.consent:
            case Consent.YES:
                self.terminal.say("Assumed with --yes: no read-write API key was created in mailcow's page.")
            case Consent.SHOW:
                self.terminal.say(f"The first question would be: {PAGE_KEY_QUESTION}")
            case Consent.ASK:
                match self.terminal.question(PAGE_KEY_QUESTION):
                    case True:
                        self.terminal.say(page_key_instructions(self.directory))
                        self.terminal.plain("")
                        return False
                    case None:
                        return False
                    case False:
                        pass
        return True

    def _offer(self, step: Step) -> bytes | None:
        """The file's new content, if that was agreed to."""
        match step:
            case Settled(message=message):
                if message:
                    self.terminal.say(message)
                return None
            case BlockedProposal(reason=reason, todo=todo):
                self.blocked += 1
                self.terminal.trouble(reason, todo)
                return None
            case Proposal():
                self.offered += 1
                self.terminal.plain("")
                self.terminal.say(step.why)
                self.terminal.plain(step.diff)
                agreed = self.terminal.agreed(step.question)
                return step.after if agreed else None


RULES: tuple[Callable[[Directory], Findings], ...] = (
    mailcow_rules.generation,
    mailcow_rules.hostname,
    compose_rules.compose_files,
    mailcow_rules.certificate,
    mailcow_rules.certificate_settings,
    mailcow_rules.ports,
    mailcow_rules.policy_file,
    compose_rules.address,
    mailcow_rules.access,
    compose_rules.clone,
    compose_rules.start,
)
"""In the order in which findings are printed. Each is a function of its own; what it finds has a stable code and says what
it means for the reader. What is to be changed is decided in `proposals`."""


def check(directory: Directory) -> tuple[InitFinding, ...]:
    """All that the rules find, in the order of the rules."""
    return tuple(finding for rule in RULES for finding in rule(directory))
