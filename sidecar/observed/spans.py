"""The times during which a text was served: the spans of a policy's memory; pure.

Rule for every editor: a span stays open until something else is observed: senders may have fetched its text until now.
"""

from dataclasses import replace

from sidecar.observed import PolicyMemory, Span


def seen_served(memory: PolicyMemory, text: str | None, at: float, counted: float) -> PolicyMemory:
    """The memory with `text` (None: nothing) observed as served at `at` (Unix seconds) and `counted`."""
    if text is not None and memory.refused is not None:
        memory = replace(memory, refused=None)
    if memory.spans and memory.spans[-1].until is None:
        if memory.spans[-1].text == text:
            return memory
        memory = replace(memory, spans=_closed(memory.spans, at, counted))
    return replace(memory, spans=(*memory.spans, Span(text, at, None, begun=counted)))


def ended(memory: PolicyMemory, at: float, counted: float) -> PolicyMemory:
    """The memory with nothing served any more; a row that a person switched off is gone, too."""
    if memory.spans and memory.spans[-1].until is None:
        memory = replace(memory, spans=_closed(memory.spans, at, counted))
    return memory if memory.refused is None else replace(memory, refused=None)


def _closed(spans: tuple[Span, ...], at: float, counted: float) -> tuple[Span, ...]:
    """Ends the last span; if the clock was set back since it began, it does not end before its beginning."""
    last = spans[-1]
    return (*spans[:-1], replace(last, until=max(at, last.since), ended=counted))


def ended_ago(span: Span, counted: float) -> float:
    """Seconds since senders could fetch the text of the span; 0 while they can.

    An end before the beginning is invalid: the beginning is used instead.
    """
    return 0.0 if span.until is None else max(0.0, counted - max(span.begun, span.ended))
