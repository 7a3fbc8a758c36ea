"""What was served when: the spans of a policy's memory; pure.

Rule for every editor: a span is open as long as nothing else was seen: senders may have fetched its text until now.
"""

from dataclasses import replace

from sidecar.observed import PolicyMemory, Span


def seen_served(memory: PolicyMemory, text: str | None, at: float, counted: float) -> PolicyMemory:
    """With `text` seen served at `at` (Unix seconds; None: nothing is served), and at `counted` (`Memory.counted`)."""
    if text is not None and memory.refused is not None:
        memory = replace(memory, refused=None)
    if memory.spans and memory.spans[-1].until is None:
        if memory.spans[-1].text == text:
            return memory
        memory = replace(memory, spans=_closed(memory.spans, at, counted))
    return replace(memory, spans=(*memory.spans, Span(text, at, None, begun=counted)))


def ended(memory: PolicyMemory, at: float, counted: float) -> PolicyMemory:
    """With nothing served any more; what a person had switched off went, too."""
    if memory.spans and memory.spans[-1].until is None:
        memory = replace(memory, spans=_closed(memory.spans, at, counted))
    return memory if memory.refused is None else replace(memory, refused=None)


def _closed(spans: tuple[Span, ...], at: float, counted: float) -> tuple[Span, ...]:
    """The last one ends; a clock that was set back since it began does not make it end before that."""
    last = spans[-1]
    return (*spans[:-1], replace(last, until=max(at, last.since), ended=counted))


def ended_ago(span: Span, counted: float) -> float:
    """Seconds since senders could fetch the text of the span; 0 while they can.

    An end before the beginning is none: it counts from the beginning.
    """
    return 0.0 if span.until is None else max(0.0, counted - max(span.begun, span.ended))
