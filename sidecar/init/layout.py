"""Where the top-level sections of a Compose file and their entries are in its text; pure.

Compose files are edited here by inserting text, and places are taken from PyYAML's events: unlike its nodes, these
have the exact place of an alias, and they distinguish anchors, tags and styles, so comparing them shows whether
anything has changed. Rule for every editor: what is not fully understood is a ValueError, a sentence for a person
without any value from the file (it may be a password). What is inserted is decided in `override`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

Events: TypeAlias = Sequence[Event]

# Breaks for YAML 1.1 and no longer for 1.2: readers do not agree on how many lines there are.
_ODD_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class YamlEntry:
    """A key of a mapping and its value, as a slice `start:end` of all events; `value` is where the value begins."""

    key: str | None
    """None if the key is not a plain name."""
    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A Compose file: its text, its events, and the entries of its top level."""

    text: str
    events: Events
    top: tuple[YamlEntry, ...]

    def entry(self, key: str) -> YamlEntry | None:
        """The top-level entry of that name."""
        return next((entry for entry in self.top if entry.key == key), None)

    def entries(self, section: YamlEntry | None) -> tuple[YamlEntry, ...]:
        """What is in a section; nothing if it has no value or does not exist."""
        if section is None or not isinstance(self.events[section.value], MappingStartEvent):
            return ()
        return tuple(_entries(self.events, section.value))

    def column(self, section: YamlEntry) -> int | None:
        """The column in which the keys of a section begin; None if it has no value.

        Raises ValueError for a section to which nothing can be added by inserting text.
        """
        value = self.events[section.value]
        place = f"`{section.key}:` in line {_line(self.events[section.start])}"
        if isinstance(value, AliasEvent):
            raise ValueError(f"{place} refers to another place in the file (*{value.anchor})")  # noqa: TRY004  about the file, not a type of ours
        assert isinstance(value, ScalarEvent | CollectionStartEvent)  # noqa: S101  no other event begins a node
        if value.anchor is not None:
            raise ValueError(
                f"{place} has an anchor (&{value.anchor}): what is added would appear wherever it is used"
            )
        if value.tag is not None:
            raise ValueError(f"{place} has the tag {value.tag}")
        if _is_empty(value):
            return None
        if not isinstance(value, MappingStartEvent):
            raise ValueError(f"{place} is not a mapping")  # noqa: TRY004  the same
        if value.flow_style:
            raise ValueError(f"{place} is written with braces")
        return _column(value)

    def end(self, section: YamlEntry) -> int:
        """The start of the line after a section, its indented comments included."""
        # The last event that has text: the end of a mapping without braces is at whatever comes next.
        last, flow = self.events[section.start], list[bool]()
        for event in self.events[section.start : section.end]:
            if isinstance(event, CollectionStartEvent):
                flow.append(bool(event.flow_style))
            elif not isinstance(event, CollectionEndEvent) or flow.pop():
                last = event
        place = _stop(last)
        if isinstance(last, ScalarEvent) and last.style in {"|", ">"}:
            # Its end is the start of a line, except where the text ends with it.
            if place == len(self.text) and not self.text.endswith("\n"):
                raise ValueError(
                    f"its last line, of the text that begins in line {_line(last)}, has no line end"
                )
        else:
            place = self._line_at(place)[1]
        best = place
        while place < len(self.text):
            line, place = self._line_at(place)
            content = line.lstrip(" ")
            if content.startswith("#") and content != line:
                best = place
            elif content.strip():
                break
        return best

    def end_of_document(self) -> int:
        """Where another top-level key can be added: before `...`, else at the end of the text."""
        for event in self.events:
            if isinstance(event, DocumentEndEvent) and event.explicit:
                return start(event)
        return len(self.text)

    def _line_at(self, place: int) -> tuple[str, int]:
        """The text from `place` to the end of its line, and where the next line begins."""
        found = self.text.find("\n", place)
        end = len(self.text) if found < 0 else found + 1
        return self.text[place:end], end


def laid_out(text: str) -> Layout:
    """The layout of a Compose file; raises ValueError, with why, for one that is not edited by inserting text."""
    if _ODD_BREAK.search(text):
        raise ValueError("it has characters that only some programs read as a line end")
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(yaml_problem(error, text)) from error
    if sum(isinstance(event, DocumentStartEvent) for event in events) > 1:
        raise ValueError("it contains several documents (`---`)")
    _refuse_invalid(events)
    roots = [at for at, event in enumerate(events) if isinstance(event, NodeEvent)]
    if not roots or _is_empty(events[roots[0]]):
        return Layout(text, events, ())
    root = events[roots[0]]
    if not isinstance(root, MappingStartEvent) or root.flow_style:
        raise ValueError("it is not a list of keys such as `services:`, each on its own line")
    if root.anchor is not None or root.tag is not None or _column(root) != 0:
        raise ValueError("its top-level keys do not begin in the first column")
    return Layout(text, events, tuple(_entries(events, roots[0])))


def yaml_problem(error: yaml.YAMLError, text: str) -> str:
    """Where PyYAML stopped reading a text and why; without the excerpt, which may contain a password."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return "it has characters that YAML does not allow"
    line, place = error.problem_mark.line + 1, error.problem_mark.index
    begin = text.rfind("\n", 0, place) + 1
    if re.match(r" *\t", text[begin:]):
        return f"line {line} is indented with a tab, which YAML does not allow"
    return f"line {line} cannot be read as YAML: {error.problem}"


def _refuse_invalid(events: Events) -> None:
    """Raises ValueError for what PyYAML's parser lets through and Compose refuses."""
    anchors: set[str] = set()
    for event in events:
        if isinstance(event, AliasEvent) and event.anchor not in anchors:
            raise ValueError(f"line {_line(event)} uses *{event.anchor}, which is not defined above")
        if isinstance(event, NodeEvent) and event.anchor is not None:
            anchors.add(event.anchor)
    for at, event in enumerate(events):
        keys: set[str] = set()
        for entry in _entries(events, at) if isinstance(event, MappingStartEvent) else ():
            if entry.key is not None and entry.key in keys:
                line = _line(events[entry.start])
                raise ValueError(
                    f"line {line} gives the key `{entry.key}` a second time, which Compose refuses"
                )
            keys.add(entry.key or "")


def signature(event: Event) -> tuple[object, ...]:
    """Everything about an event except its place: two texts with the same signatures mean the same."""
    names = ("anchor", "tag", "value", "style", "flow_style", "explicit", "version", "tags")
    return type(event), *(str(getattr(event, name, None)) for name in names)


def _is_empty(event: Event) -> bool:
    return (
        isinstance(event, ScalarEvent)
        and start(event) == _stop(event)
        and event.anchor is None
        and event.tag is None
    )


def start(event: Event) -> int:
    """Where in the text an event begins."""
    assert event.start_mark is not None  # noqa: S101  the parser sets it
    return event.start_mark.index


def _stop(event: Event) -> int:
    assert event.end_mark is not None  # noqa: S101  the parser sets it
    return event.end_mark.index


def _line(event: Event) -> int:
    assert event.start_mark is not None  # noqa: S101  the parser sets it
    return event.start_mark.line + 1


def _column(event: Event) -> int:
    assert event.start_mark is not None  # noqa: S101  the parser sets it
    return event.start_mark.column


def _after(events: Events, at: int) -> int:
    """The index after the node that begins at `at`."""
    depth = 0
    while True:
        depth += isinstance(events[at], CollectionStartEvent) - isinstance(events[at], CollectionEndEvent)
        at += 1
        if depth == 0:
            return at


def _entries(events: Events, mapping: int) -> Iterator[YamlEntry]:
    at = mapping + 1
    while not isinstance(events[at], CollectionEndEvent):
        key = events[at]
        value = _after(events, at)
        end = _after(events, value)
        yield YamlEntry(key.value if isinstance(key, ScalarEvent) else None, at, value, end)
        at = end
