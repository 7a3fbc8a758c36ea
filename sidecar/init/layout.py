"""Where in the text of a Compose file its top-level sections and their entries stand; pure.

Compose files are edited here by inserting text, and places are taken from PyYAML's events: unlike its nodes, these
have the very place of an alias, and they tell anchors, tags and styles apart, so that comparing them says whether
anything at all has changed. Rule for every editor: what is not surely understood is a ValueError, a sentence for a
person without any value of the file in it (it may be a password). What is inserted is decided in `override`.
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
    """None where the key is no plain name."""
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
        """What is in a section; nothing where it has no value or is not there."""
        if section is None or not isinstance(self.events[section.value], MappingStartEvent):
            return ()
        return tuple(_entries(self.events, section.value))

    def column(self, section: YamlEntry) -> int | None:
        """In which column the keys of a section stand; None where it has no value.

        Raises ValueError for a section to which nothing can be added by inserting text.
        """
        value = self.events[section.value]
        place = f"`{section.key}:` in line {_line(self.events[section.start])}"
        if isinstance(value, AliasEvent):
            raise ValueError(f"{place} stands for a text elsewhere (*{value.anchor})")  # noqa: TRY004  of the file, no type of ours
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
            raise ValueError(f"{place} is no mapping")  # noqa: TRY004  the same
        if value.flow_style:
            raise ValueError(f"{place} is written in one piece, with braces")
        return _column(value)

    def end(self, section: YamlEntry) -> int:
        """The place of the line behind a section, its indented comments included."""
        place = self._behind(section)
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

    def _behind(self, section: YamlEntry) -> int:
        last, place = _last_content(self.events[section.start : section.end])
        if isinstance(last, ScalarEvent) and last.style in {"|", ">"}:
            # Its mark is the start of a line, except where the text ends with it.
            if place == len(self.text) and not self.text.endswith("\n"):
                raise ValueError(
                    f"its last line, of the text that begins in line {_line(last)}, has no line end"
                )
            return place
        return self._line_at(place)[1]

    def _line_at(self, place: int) -> tuple[str, int]:
        """The text from `place` to the end of its line, and where the next line begins."""
        found = self.text.find("\n", place)
        end = len(self.text) if found < 0 else found + 1
        return self.text[place:end], end


def laid_out(text: str) -> Layout:
    """The layout of a Compose file; raises ValueError, with why, for one that is not edited by inserting text."""
    if _ODD_BREAK.search(text):
        raise ValueError("it has line ends that not every program takes for one")
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(_said(error, text)) from error
    if sum(isinstance(event, DocumentStartEvent) for event in events) > 1:
        raise ValueError("it holds several documents (`---`)")
    _refuse_unknown_aliases(events)
    _refuse_duplicates(events)
    roots = [at for at, event in enumerate(events) if isinstance(event, NodeEvent)]
    if not roots or _is_empty(events[roots[0]]):
        return Layout(text, events, ())
    root = events[roots[0]]
    if not isinstance(root, MappingStartEvent) or root.flow_style:
        raise ValueError("it is no list of keys such as `services:`, each on a line of its own")
    if root.anchor is not None or root.tag is not None or _column(root) != 0:
        raise ValueError("its top-level keys do not begin in the first column")
    return Layout(text, events, tuple(_entries(events, roots[0])))


def signature(event: Event) -> tuple[object, ...]:
    """All of an event but its place: two texts with the same signatures mean the same."""
    names = ("anchor", "tag", "value", "style", "flow_style", "explicit", "version", "tags")
    return type(event), *(str(getattr(event, name, None)) for name in names)


def _is_empty(event: Event) -> bool:
    """Whether nothing at all is written there."""
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
    """Where the node that begins at `at` has ended."""
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


def _last_content(events: Events) -> tuple[Event, int]:
    """The last event of which something is written, and where that ends.

    The end of a mapping without braces is only noticed at whatever comes next.
    """
    last, flow = events[0], list[bool]()
    for event in events:
        if isinstance(event, CollectionStartEvent):
            flow.append(bool(event.flow_style))
        elif not isinstance(event, CollectionEndEvent) or flow.pop():
            last = event
    return last, _stop(last)


def _refuse_unknown_aliases(events: Events) -> None:
    anchors: set[str] = set()
    for event in events:
        if isinstance(event, AliasEvent) and event.anchor not in anchors:
            raise ValueError(f"line {_line(event)} uses *{event.anchor}, which is not defined above")
        if isinstance(event, NodeEvent) and event.anchor is not None:
            anchors.add(event.anchor)


def _refuse_duplicates(events: Events) -> None:
    for at, event in enumerate(events):
        if not isinstance(event, MappingStartEvent):
            continue
        seen: set[str] = set()
        for entry in _entries(events, at):
            if entry.key is not None and entry.key in seen:
                line = _line(events[entry.start])
                raise ValueError(
                    f"line {line} gives the key `{entry.key}` a second time, which Compose refuses"
                )
            seen.add(entry.key or "")


def _said(error: yaml.YAMLError, text: str) -> str:
    """Where it stopped and why; without the excerpt, in which a password may stand."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line = error.problem_mark.line + 1
        if "\t" in _indentation(text, error.problem_mark.index):
            return f"line {line} is indented with a tab, which YAML does not allow"
        return f"line {line} is no YAML: {error.problem}"
    return "it has characters that YAML does not allow"


def _indentation(text: str, place: int) -> str:
    line = text[text.rfind("\n", 0, place) + 1 :].split("\n", 1)[0]
    return line[: len(line) - len(line.lstrip(" \t"))]
