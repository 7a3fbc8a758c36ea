"""Record sets at a DNS host, through a worker process for each call: the daemon never imports a provider's library.

Rules for every editor. A worker has a deadline and is killed when it passes, together with its child processes. Secrets
are passed on its standard input only, never in its arguments or environment. What comes back is bounded and checked.
A write whose worker died is `Unclear`: nobody knows how far it got.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import SecretStr, ValidationError

from sidecar.dns.publish.messages import ChangeMessage, KeyMessage, Provider, Request, WorkerAnswer
from sidecar.dns.publish.port import Change, Outcome, Unclear, WriteRefused, within
from sidecar.observed import Seen, Sight, Unseen
from sidecar.observed.record_sets import Key, RecordSet

LARGEST_ANSWER = 8 << 20
"""Bytes; 5,000 names with a record set each come to less than 1 MB."""
_ENVIRONMENT = (
    "PATH",
    "LANG",
    "TZ",
    "PYTHONPATH",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)
"""What a worker inherits: no secret of the sidecar or of mailcow."""


class _WorkerError(Exception):
    """The worker gave no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """A provider of octodns with its arguments; `floor` is the lowest TTL that it accepts, in seconds."""

    class_: str
    secrets: Mapping[str, SecretStr] = field(repr=False)
    plain: Mapping[str, str | int | bool] = field(default_factory=dict)
    floor: int = 0
    only: frozenset[str] | None = None

    def message(self) -> Provider:
        """With the secrets in plain text: for the worker's standard input only."""
        opened = {name: secret.get_secret_value() for name, secret in self.secrets.items()}
        return Provider(
            class_=self.class_,
            arguments={**self.plain, **opened},
            secrets=tuple(sorted(self.secrets)),
            floor=self.floor,
            only=None if self.only is None else tuple(sorted(self.only)),
        )


@dataclass(slots=True)
class Hosted:
    """An account at a DNS host; `clock` gives Unix seconds."""

    spec: ProviderSpec
    clock: Callable[[], float]
    deadline_s: int = 60
    """For one call, with all its requests to the host."""
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def zones(self, names: Collection[str]) -> Sight[tuple[str, ...]]:  # noqa: ARG002 - others need the names
        """The zones that the host lists and the settings do not exclude."""
        try:
            answer = await self._ask(
                Request(do="zones", provider=self.spec.message(), seconds=self.deadline_s)
            )
        except _WorkerError as error:
            return Unseen(str(error), self.clock())
        return Unseen(_trouble(answer), self.clock()) if answer.trouble else Seen(answer.zones, self.clock())

    async def read(self, zone: str, keys: Sequence[Key]) -> Mapping[Key, Sight[RecordSet]]:
        """The whole zone is read once."""
        request = Request(
            do="read",
            provider=self.spec.message(),
            seconds=self.deadline_s,
            zone=zone,
            keys=tuple(map(KeyMessage.of, keys)),
        )
        try:
            answer = await self._ask(request)
            found = {one.key: one.record_set for one in answer.found}
        except (_WorkerError, ValueError) as error:
            return dict.fromkeys(keys, Unseen(str(error), self.clock()))
        if answer.trouble:
            return dict.fromkeys(keys, Unseen(_trouble(answer), self.clock()))
        now = self.clock()
        unreadable = Unseen("the host has values there that cannot be read", now)
        return {key: Seen(found[key], now) if key in found else unreadable for key in keys}

    async def write(self, zone: str, changes: Sequence[Change]) -> Mapping[Key, Outcome]:
        """All changes of a zone in one worker."""
        keys = [change.key for change in changes]
        outside = [key for key in keys if not within(key.name, zone)]
        if outside:
            return dict.fromkeys(keys, WriteRefused(f"{outside[0]} is not in the zone {zone}", "report this"))
        request = Request(
            do="write",
            provider=self.spec.message(),
            seconds=self.deadline_s,
            zone=zone,
            changes=tuple(map(ChangeMessage.from_change, changes)),
        )
        try:
            answer = await self._ask(request)
            results = {one.key: one.value for one in answer.results}
        except (_WorkerError, ValueError) as error:
            return dict.fromkeys(keys, Unclear(str(error)))
        if answer.trouble and answer.remedy:
            return dict.fromkeys(keys, WriteRefused(answer.trouble, answer.remedy))
        left = Unclear(answer.trouble or "the worker did not report the outcome")
        return {key: results.get(key, left) for key in keys}

    async def _ask(self, request: Request) -> WorkerAnswer:
        async with self._one_at_a_time:
            output = await _run(request.model_dump_json().encode(), self.deadline_s)
        try:
            return WorkerAnswer.model_validate_json(output)
        except ValidationError:
            # The error would quote the worker's output.
            raise _WorkerError("the worker for the DNS host gave an answer that cannot be read") from None


def _trouble(answer: WorkerAnswer) -> str:
    return f"{answer.trouble}; {answer.remedy}" if answer.remedy else answer.trouble


async def _run(request: bytes, deadline_s: float) -> bytes:
    """What the worker prints; raises _WorkerError. The worker has ended when this returns, also after a cancellation."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "sidecar.dns.publish.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(deadline_s):
            if process.stdin is None or process.stdout is None:
                raise _WorkerError("the worker for the DNS host has no pipes")
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(request)
                await process.stdin.drain()
                process.stdin.close()
            output = bytearray()
            while part := await process.stdout.read(1 << 16):
                output += part
                if len(output) > LARGEST_ANSWER:
                    raise _WorkerError(f"the worker for the DNS host gave more than {LARGEST_ANSWER} bytes")
            await process.wait()
    except TimeoutError as error:
        raise _WorkerError(f"the DNS host did not answer within {deadline_s:g} s") from error
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return bytes(output)
