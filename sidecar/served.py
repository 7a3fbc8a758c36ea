"""What was served when: the spans of a policy's memory; pure.

Rule for every editor: a span is open as long as nothing else was seen: senders may have fetched its text until now.
"""

from dataclasses import replace

from sidecar.observed import PolicyMemory, Span


def seen_served(memory: PolicyMemory, text: str | None, at: float) -> PolicyMemory:
    """With `text` seen served at `at` (Unix seconds; None: nothing is served)."""
    if text is not None and memory.refused is not None:
        memory = replace(memory, refused=None)
    if not memory.spans:
        return replace(memory, spans=(Span(text, at, None),))
    last = memory.spans[-1]
    if last.text == text and last.until is None:
        return memory
    closed = last if last.until is not None else replace(last, until=at)
    return replace(memory, spans=(*memory.spans[:-1], closed, Span(text, at, None)))


def ended(memory: PolicyMemory, at: float) -> PolicyMemory:
    """With nothing served any more; what a person had switched off went, too."""
    if memory.spans and memory.spans[-1].until is None:
        last = memory.spans[-1]
        memory = replace(memory, spans=(*memory.spans[:-1], replace(last, until=max(at, last.since))))
    return memory if memory.refused is None else replace(memory, refused=None)
