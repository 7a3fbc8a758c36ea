"""The answers that the passes remember: until when, and which changes are reported."""

import asyncio
from collections.abc import Iterable

from sidecar.dns.ask import Lookups
from sidecar.dns.questions import LOOKED_UP_AT_ONCE, Questions
from sidecar.observed import Addresses, Kind, Question, Seen, Sight, Txt, Unseen, Validated

A = Question(Kind.ADDRESSES, "a.test")
B = Question(Kind.TXT, "_mta-sts.b.test")


class Answers(Lookups):
    """Answers out of a table, when it is allowed to."""

    def __init__(self) -> None:
        super().__init__(None, lambda: 0.0)
        self.table: dict[Question, Sight[object]] = {A: seen("192.0.2.1"), B: Seen(Txt(("x",)), 1.0)}
        self.free = asyncio.Event()
        self.free.set()
        self.asked: list[list[Question]] = []

    async def ask(self, questions: Iterable[Question], deadline_s: float) -> dict[Question, Sight[object]]:
        wanted = list(questions)
        self.asked.append(wanted)
        await self.free.wait()
        return {q: self.table.get(q, Unseen("nobody said it", 1.0)) for q in wanted}


def seen(address: str, at: float = 1.0) -> Sight[object]:
    """An answer."""
    return Seen(Addresses(frozenset({address})), at)


def remembering() -> tuple[Answers, Questions, list[Question]]:
    """The memory under test, what answers, and the questions whose answers changed."""
    answers, news = Answers(), list[Question]()
    return answers, Questions(answers, news.append), news


async def test_late_answer_is_there_for_the_next_pass() -> None:
    """A pass does not wait for it, and it is asked for once."""
    answers, questions, _ = remembering()
    answers.free.clear()
    await questions.ask([A], to_the_end=False)
    await questions.ask([A], to_the_end=False)
    assert (questions.answers(), answers.asked) == ({}, [[A]])
    answers.free.set()
    await questions.ask([], to_the_end=True)
    assert questions.known().addresses == {"a.test": answers.table[A]}


async def test_only_a_different_answer_is_news() -> None:
    """Neither the first one, nor the same one at another time, nor none."""
    answers, questions, news = remembering()
    for sight in (seen("192.0.2.1"), seen("192.0.2.1", 2.0), Unseen("silent", 3.0), seen("192.0.2.1", 4.0)):
        answers.table[A] = sight
        await questions.ask([A], to_the_end=True)
    assert news == []
    answers.table[A] = seen("192.0.2.2", 5.0)
    await questions.ask([A], to_the_end=True)
    assert news == [A]


async def test_picture_follows_every_change_of_an_answer() -> None:
    """It is made once for all passes without one, and a picture that was given does not change."""
    answers, questions, _ = remembering()
    assert questions.known().addresses == {}
    await questions.look_up([A])
    first = questions.known()
    assert questions.known() is first
    answers.table[A] = seen("192.0.2.2", 2.0)
    await questions.look_up([A, B])
    assert first.addresses == {"a.test": seen("192.0.2.1")}
    assert questions.known().addresses == {"a.test": seen("192.0.2.2", 2.0)}
    assert questions.known().txt == {B.name: answers.table[B]}
    questions.forget([B])
    assert questions.known().txt == {}
    questions.forget_all()
    assert questions.known().addresses == {}


async def test_old_answers_are_kept_where_they_are_asked_for_as_a_routine() -> None:
    """And others as long as a routine answer would be."""
    _, questions, _ = remembering()
    await questions.look_up([A, B])
    questions.keep(frozenset({A}), since=1.0)
    assert questions.answers().keys() == {A, B}
    questions.keep(frozenset({A}), since=1.5)
    assert questions.answers().keys() == {A}


async def test_equal_answers_are_held_once() -> None:
    """Thousands of names have the addresses of one server; what DNSSEC validated stays validated."""
    answers, questions, _ = remembering()
    other = Question(Kind.MX, "a.test")
    more = [Question(Kind.ADDRESSES, "c.test"), other]
    answers.table |= {more[0]: seen("192.0.2.1", 2.0), other: Validated(("mx.test",), 3.0)}
    await questions.look_up([A, *more])
    found = questions.answers()
    first, second = found[A], found[more[0]]
    assert (first, second, found[other]) == (answers.table[A], answers.table[more[0]], answers.table[other])
    assert isinstance(first, Seen)
    assert isinstance(second, Seen)
    assert first.value is second.value


async def test_many_questions_are_asked_in_groups_that_show_progress() -> None:
    """A decision on thousands of names must not look as if it hung."""
    answers, questions, _ = remembering()
    moves: list[int] = []
    questions.moved = lambda: moves.append(len(answers.asked))
    await questions.look_up([Question(Kind.MX, f"d{number}.test") for number in range(LOOKED_UP_AT_ONCE + 1)])
    assert moves == [1, 2]


async def test_end_leaves_nothing_that_is_asked() -> None:
    """A sidecar that ends waits for no answer."""
    answers, questions, _ = remembering()
    answers.free.clear()
    await questions.ask([A], to_the_end=False)
    await questions.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    answers.free.set()
    await questions.ask([A], to_the_end=True)
    assert questions.answers().keys() == {A}
