"""The two kinds of expected errors.

Each says what was tried, on what, what came back and what to do; the cause is chained with `raise ... from`.
What a check finds is a value, never one of these. No secret may ever be put into the text.
"""


class SidecarError(Exception):
    """An expected error of the outside world; its text is one line for a person."""


class TemporaryError(SidecarError):
    """May end on its own: try again later."""


class NoSpaceError(TemporaryError):
    """A disk is full. Every pass tries again: only that shows that there is space again."""


class PermanentError(SidecarError):
    """A person has to change something first."""
