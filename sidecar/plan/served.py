"""What mailcow serves now, as far as it was observed; pure."""

from sidecar.formats.mtasts_policy import Mode, Policy, policy_of, understood
from sidecar.observed import FILE, Observed, PolicyFile, Seen


def served_by_file(observed: Observed) -> Policy | None:
    """The policy in the file, also one that only lenient senders accept; None if there is none or it was not observed."""
    text = _file_text(observed)
    return None if text is None else understood(text)


def served_mode(observed: Observed, key: str) -> Mode | None:
    """The mode that is served for a domain or by the file (`FILE`); None if none is, or none was observed."""
    if key == FILE:
        policy = policy_of(_file_text(observed))
    else:
        served = observed.served_of(key)
        policy = policy_of(served.value.text) if isinstance(served, Seen) else None
    return policy.mode if policy else None


def _file_text(observed: Observed) -> str | None:
    match observed.file:
        case Seen(PolicyFile(data=bytes(data))):
            return data.decode("utf-8", "surrogateescape")
        case _:
            return None
