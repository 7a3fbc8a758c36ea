"""The DNS accounts of the settings, ready for use.

Rule for every editor: secrets are read when an account is used, so that a new one is used at once; no text has one.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from sidecar.dns.publish.port import Publisher
from sidecar.settings.dns import Account, MailcowAccount


def made(
    account: Account,
    mailcow_dir: Path,
    conf: Mapping[str, str],
    env: Mapping[str, str],
    clock: Callable[[], float],
) -> Publisher:
    """The account; `conf` are the values of mailcow.conf. Raises PermanentError. Blocks while files are read."""
    # Loaded by those who publish: the adapters cost the others some MB.
    from sidecar.dns.publish.accounts import publisher, with_secrets  # noqa: PLC0415
    from sidecar.mailcow.dns01 import PROVIDER, read  # noqa: PLC0415

    if isinstance(account, MailcowAccount):
        known = read(mailcow_dir, {PROVIDER: conf.get(PROVIDER, "")}, account.zones)
        return with_secrets(known.account, known.secrets, clock)
    return publisher(account, env, clock)
