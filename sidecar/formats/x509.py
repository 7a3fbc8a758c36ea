"""Reading the certificates of strangers, whatever is in them.

Rule for every editor: every read of outside octets with `cryptography.x509`, and of fields of the result (they are
decoded on access), must be within `reading`.
"""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reading() -> Iterator[None]:
    """Raises ValueError, with its cause, for every exception of cryptography about a certificate.

    That includes exceptions that are not a ValueError (`DuplicateExtension`, `UnsupportedGeneralNameType` for an
    x400Address, `InvalidVersion`, `UnsupportedAlgorithm`), and panics of its parser, which are not even an Exception.
    """
    try:
        yield
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # a class that cannot be imported
            raise
        raise ValueError(f"its parser failed: {error}") from error


SOON_S = 14 * 86_400
SOON_SHARE = 3


def ends_soon(not_before: float, not_after: float, now: float) -> bool:
    """Whether a certificate should have been renewed by now; times in Unix seconds.

    acme-mailcow renews 30 days before the end, a third of the 90 days of Let's Encrypt. At half of that, 14 days before
    the end, a person should check. A certificate of six days has two days left at a third of its life.
    """
    return not_after - now < min(SOON_S, (not_after - not_before) / SOON_SHARE)
