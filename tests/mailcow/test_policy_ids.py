"""Reading policy ids beside the passes: rarely, a few at a time, and never an id with another text than its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.simulated import Fault
from sidecar.host.errors import TemporaryError
from sidecar.mailcow.database import PolicyRow
from sidecar.mailcow.policy_ids import AT_A_TIME, RETRY_S, PolicyIds
from sidecar.mailcow.session import Session
from sidecar.observed import Conf, PolicyId, Seen
from tests.mailcow.fake_database import FakeDatabase
from tests.stage import HOST, Clock, Stage, stage

PAGE = "/inc/ajax/"


@dataclass
class Scene:
    """A mailcow with policies, and a reader of their ids."""

    on: Stage
    ids: PolicyIds
    clock: Clock

    def texts(self, *names: str) -> dict[str, str]:
        """What these domains are served."""
        return {name: self.on.served()[name] for name in names}

    def pages(self) -> int:
        """How many times mailcow was asked for an id."""
        return sum(request.path.startswith(PAGE) for request in self.on.mailcow.requests)

    async def read(self, texts: dict[str, str]) -> dict[str, PolicyId]:
        """Begins, waits for what was begun, and takes it."""
        self.ids.begin(texts)
        await asyncio.gather(*self.ids._under_way)
        return dict(self.ids.take())


@asynccontextmanager
async def reading(tmp_path: Path, *names: str) -> AsyncIterator[Scene]:
    """These domains are served a policy each."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        for name in names:
            if name != "example.org":
                on.mailcow.add_domain(name)
            on.mailcow.person_sets_policy(name, mode="testing", mx=[HOST], max_age=86_400)
        await parts.passes.look()
        session: Session = parts.session
        clock = Clock()
        ids = PolicyIds(session, clock)
        yield Scene(on, ids, clock)
        await ids.close()


async def test_a_few_at_a_time(tmp_path: Path) -> None:
    """And none while others are still being read: each makes mailcow ask servers outside."""
    names = [f"d{n}.example" for n in range(2 * AT_A_TIME + 1)]
    async with reading(tmp_path, *names) as scene:
        texts = scene.texts(*names)
        scene.ids.begin(texts)
        scene.ids.begin(texts)
        found = await scene.read({})
        assert set(found) == set(names[:AT_A_TIME])
        assert scene.pages() == AT_A_TIME
        assert found[names[0]] == PolicyId(texts[names[0]], scene.on.mailcow.policies[names[0]].id)


async def test_what_was_read_is_given_once(tmp_path: Path) -> None:
    """Whoever takes it remembers it."""
    async with reading(tmp_path, "example.org") as scene:
        assert set(await scene.read(scene.texts("example.org"))) == {"example.org"}
        assert scene.ids.take() == {}


async def test_id_of_another_text_is_not_taken(tmp_path: Path) -> None:
    """A person changed the policy after it was seen: its id belongs to another content."""
    async with reading(tmp_path, "example.org") as scene:
        old = scene.texts("example.org")
        scene.on.mailcow.person_sets_policy("example.org", mode="enforce", mx=[HOST], max_age=86_400)
        assert await scene.read(old) == {}


async def test_failure_waits_before_the_next_try(tmp_path: Path) -> None:
    """Longer each time; a success begins anew."""
    async with reading(tmp_path, "example.org") as scene:
        texts = scene.texts("example.org")
        scene.on.mailcow.fail("dns_diagnostics", Fault.HTML_500)
        assert await scene.read(texts) == {}
        for wait in RETRY_S:
            before = scene.pages()
            scene.clock.ahead += wait - 30
            assert await scene.read(texts) == {}
            assert scene.pages() == before
            scene.clock.ahead += 30
            assert await scene.read(texts) == {}
            assert scene.pages() == before + 1
        scene.on.mailcow.heal()
        scene.clock.ahead += RETRY_S[-1]
        assert set(await scene.read(texts)) == {"example.org"}


async def test_command_reads_all_and_says_why_not(tmp_path: Path) -> None:
    """With its progress; an id that cannot be read stops no other."""
    names = ["a.example", "b.example", "c.example"]
    async with reading(tmp_path, *names) as scene:
        texts = scene.texts(*names) | {"gone.example": "version: STSv1\n"}
        progress: list[int] = []
        found, trouble = await scene.ids.read(texts, progress.append)
        assert set(found) == set(names)
        assert set(trouble) == {"gone.example"}
        assert progress == [1, 2, 3, 4]


async def test_sidecar_that_runs_remembers_ids_once(tmp_path: Path) -> None:
    """Passes read them in the background, and never wait for them; the next content is read once more."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        observer = parts.passes.observer
        observer.patient = False

        async def passes() -> None:
            for _ in range(3):
                on.clock.ahead += 1_000
                await parts.passes.reconcile()
                await asyncio.gather(*observer.ids._under_way)

        await passes()
        memory = parts.passes.ledger.memory.policy("example.org")
        row = on.mailcow.policies["example.org"]
        assert (memory.id, memory.id_text) == (row.id, on.served()["example.org"])
        assert sum(r.path.startswith(PAGE) for r in on.mailcow.requests) == 1
        on.mailcow.person_sets_policy("example.org", mode="enforce", mx=[HOST], max_age=60)
        await passes()
        memory = parts.passes.ledger.memory.policy("example.org")
        assert memory.id_text == on.served()["example.org"]
        assert sum(r.path.startswith(PAGE) for r in on.mailcow.requests) == 2
        stored = await asyncio.to_thread(parts.state.load)
        assert stored.policy("example.org") == memory


async def test_silent_page_does_not_delay_a_pass(tmp_path: Path) -> None:
    """A pass ends while the page is still being read."""
    async with stage(tmp_path) as on, on.sidecar() as parts:
        observer = parts.passes.observer
        observer.patient = False
        on.mailcow.fail("dns_diagnostics", Fault.SILENCE)
        await parts.passes.reconcile()
        on.clock.ahead += 1_000
        report = await parts.passes.reconcile()
        assert observer.ids._under_way
        assert isinstance(report.observed.served_of("example.org"), Seen)


@dataclass
class DatabaseOf(FakeDatabase):
    """With the rows that a test says, in place of mailcow's."""

    says: dict[str, PolicyRow] | None = None

    async def policies(self, conf: Conf) -> Mapping[str, PolicyRow]:
        found = await super().policies(conf)
        return found if self.says is None else self.says


LOGIN = Conf({"DBNAME": "mailcow", "DBUSER": "mailcow", "DBPASS": "secret"})


async def test_database_gives_all_ids_in_one_query_and_no_page_is_asked(tmp_path: Path) -> None:
    """Each page makes mailcow ask the DNS and servers outside."""
    names = [f"d{n}.example" for n in range(3 * AT_A_TIME)]
    async with reading(tmp_path, *names) as scene:
        scene.ids.database, scene.ids.conf = DatabaseOf(scene.on.mailcow), LOGIN
        found = await scene.read(scene.texts(*names))
        expected = {name: str(scene.on.mailcow.policies[name].id) for name in names}
        assert {name: one.id for name, one in found.items()} == expected
        read, trouble = await scene.ids.read(scene.texts(*names), lambda _: None)
        assert {name: one.id for name, one in read.items()} == expected
        assert trouble == {}
        assert scene.pages() == 0
        assert scene.ids.database.calls == ["policies", "policies"]


async def test_row_that_says_something_else_than_is_served_gives_no_id(tmp_path: Path) -> None:
    """It was changed after the text was read: the page decides, which is asked together with the text."""
    async with reading(tmp_path, "example.org") as scene:
        rows = {"example.org": PolicyRow("1", "version: STSv1\nmode: none\nmax_age: 1\nmx: a.example\n")}
        scene.ids.database, scene.ids.conf = DatabaseOf(scene.on.mailcow, says=rows), LOGIN
        found = await scene.read(scene.texts("example.org"))
        assert found["example.org"].id == str(scene.on.mailcow.policies["example.org"].id)
        assert scene.pages() == 1


async def test_page_is_asked_where_the_database_does_not_answer(tmp_path: Path) -> None:
    """And the database is left alone for a while."""
    async with reading(tmp_path, "example.org") as scene:
        database = DatabaseOf(scene.on.mailcow, trouble=TemporaryError("no answer"))
        scene.ids.database, scene.ids.conf = database, LOGIN
        assert list(await scene.read(scene.texts("example.org"))) == ["example.org"]
        await scene.read(scene.texts("example.org"))
        assert (scene.pages(), database.calls) == (2, ["policies"])
        scene.clock.ahead += RETRY_S[0] + 1
        await scene.read(scene.texts("example.org"))
        assert database.calls == ["policies", "policies"]


async def test_without_a_login_in_mailcow_conf_nobody_is_asked(tmp_path: Path) -> None:
    """As in the demo."""
    async with reading(tmp_path, "example.org") as scene:
        database = DatabaseOf(scene.on.mailcow)
        scene.ids.database, scene.ids.conf = database, Conf({"DBNAME": "mailcow"})
        await scene.read(scene.texts("example.org"))
        assert (scene.pages(), database.calls) == (1, [])
