"""The local runtime with real processes: contract, probes, rollout, drain, restart, entry."""

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from eventpipeline_operator.adapters.local.devfile import DevFile, Program
from eventpipeline_operator.adapters.local.entry import Entry
from eventpipeline_operator.adapters.local.images import Images
from eventpipeline_operator.adapters.local.migrations import Migrations
from eventpipeline_operator.adapters.local.ports import HOST, Ports
from eventpipeline_operator.adapters.local.replica import Place, Timing
from eventpipeline_operator.adapters.local.runtime import LocalRuntime, Parts
from eventpipeline_operator.adapters.local.secrets import SecretFiles
from eventpipeline_operator.api.observed import MigrationPhase, WorkloadState
from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.desired.records import MigrationRecord, SecretRecord, WorkloadRecord
from eventpipeline_operator.desired.routes import build_route
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from eventpipeline_operator.reconcile.ports import Record

PROGRAM = Path(__file__).with_name("program.py")
TIMING = Timing(startup=0.05, liveness=0.1, readiness=0.05, answer=2.0, pauses=(0.05, 0.1))


@dataclass
class Here:
    """A runtime, and the directory in which its programs run."""

    runtime: LocalRuntime
    entry: Entry
    images: Images
    migrations: Migrations
    secrets: SecretFiles
    session: aiohttp.ClientSession
    work: Path

    async def until(self, what: str, look: Callable[[], Any], seconds: float = 20.0) -> Any:
        """The first true answer."""
        try:
            async with asyncio.timeout(seconds):
                while not (seen := look()):  # noqa: ASYNC110 - what is looked at tells nobody
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"still waiting for {what}") from None
        return seen

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        url = f"http://{HOST}:{self.entry.port}{path}"
        async with self.session.get(url, headers=headers) as answer:
            return answer.status, json.loads(await answer.text())

    async def run(self, pipeline: EventPipeline, **changes: Any) -> WorkloadRecord:
        """Apply the first workload of the first service, changed a little."""
        record = replace(build_workloads(pipeline, pipeline.services[0], {})[0], **changes)
        await self.runtime.apply(pipeline, [record])
        return record

    async def until_ready(self, pipeline: EventPipeline, record: WorkloadRecord) -> None:
        await self.until("readiness", lambda: self.state(pipeline, record).ready)

    def state(self, pipeline: EventPipeline, record: WorkloadRecord) -> WorkloadState:
        return self.runtime.observe_workload(pipeline, record)

    def pids(self, pipeline: EventPipeline, name: str) -> set[int]:
        found = self.runtime.processes(pipeline.key)
        return {replica.pid for own, replica in found if own == name and replica.pid}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    work = tmp_path / "work"
    (work / "src").mkdir(parents=True)
    program = Program(work, (sys.executable, str(PROGRAM)), (work / "src",))
    images, ports = Images(DevFile(images={"order": program, "stock": program})), Ports()
    async with aiohttp.ClientSession() as session:
        place = Place(tmp_path / "logs", ports, session, TIMING)
        entry = Entry(ports)
        await entry.start(0)

        def changed(_: Key) -> None:
            """Nobody reconciles here: the tests look for themselves."""

        migrations = Migrations(tmp_path / "migrations.json", place, changed)
        secrets = SecretFiles(tmp_path / "secrets")
        environ = {"PATH": os.environ["PATH"]}
        parts = Parts(place, images, secrets, migrations, entry, environ, changed)
        runtime = LocalRuntime(parts)
        yield Here(runtime, entry, images, migrations, secrets, session, work)
        await runtime.stop()
        await entry.stop()


def build(**service: Any) -> EventPipeline:
    spec = {
        "kafka": {"bootstrapServers": "127.0.0.1:1"},
        "ingress": {"host": "shop.localhost:1"},
        "topics": [{"name": "orders"}],
        "services": [
            {"name": "order", "image": "order:1", "port": 8080, "path": "/api/v1/order", **service},
        ],
    }
    meta = {"namespace": "team", "name": "shop", "uid": "u", "generation": 1}
    return parse({"metadata": meta, "spec": spec})


async def test_a_process_is_told_what_a_container_would_be(here: Here) -> None:
    pipeline = build(calls=["order"], config={"A": "b"}, produces=["orders"])
    record = await here.run(pipeline)
    await here.until_ready(pipeline, record)
    here.entry.route(pipeline.key, _route(pipeline))
    status, seen = await here.get("/api/v1/order/7?x=1", Host="shop.localhost")
    told = seen["env"]
    assert status == 200
    assert seen["path"] == "/api/v1/order/7?x=1"
    assert told["PIPELINE"] == "shop"
    assert told["SERVICE"] == "order"
    assert told["A"] == "b"
    assert told["TOPIC_ORDERS"] == "team.shop.orders"
    assert told["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:1"
    assert told["POD_NAME"].startswith("shop-order-")
    assert told["PORT"] != "8080"
    async with here.session.get(f"{told['ORDER_URL']}/called") as answer:
        assert (await answer.json(content_type=None))["path"] == "/called"


async def test_secrets_are_files_of_their_owner_and_variables_of_their_process(here: Here) -> None:
    pipeline = build()
    secret = SecretRecord(
        "db", "abc123", "source", "1", {"PASSWORD": "s3cret"}, {"smtp.json": '{"a": 1}'}
    )
    await here.runtime.apply(pipeline, [secret])
    path = "/var/run/secrets/eventpipeline/db/smtp.json"
    config = {"SMTP_FILE": path}
    record = build_workloads(pipeline, pipeline.services[0], {})[0]
    record = replace(record, secrets=(secret.reference,), env={**record.env, **config})
    await here.runtime.apply(pipeline, [record])
    await here.until_ready(pipeline, record)
    here.entry.route(pipeline.key, _route(pipeline))
    told = (await here.get("/api/v1/order"))[1]["env"]
    assert told["PASSWORD"] == "s3cret"
    _assert_private(Path(told["SMTP_FILE"]), "shop-db-abc123")


async def test_a_superseded_secret_stays_while_a_process_uses_it(here: Here) -> None:
    pipeline = build()
    old, new = (SecretRecord("db", r, "s", r, {"P": r}) for r in ("one", "two"))
    await here.runtime.apply(pipeline, [old])
    record = await here.run(pipeline, secrets=(old.reference,))
    await here.until_ready(pipeline, record)
    await here.runtime.apply(pipeline, [new])
    (here.work / "unready").touch()
    rolled = await here.run(pipeline, secrets=(new.reference,))
    await here.runtime.prune(pipeline, [rolled, new.reference])
    assert here.runtime.holds_superseded(pipeline, "db", new.reference)
    (here.work / "unready").unlink()
    await here.until_ready(pipeline, rolled)
    await here.runtime.prune(pipeline, [rolled, new.reference])
    assert not here.runtime.holds_superseded(pipeline, "db", new.reference)
    assert here.runtime.holds_secret(pipeline, new.reference)


async def test_a_killed_process_is_started_anew(here: Here) -> None:
    pipeline = build()
    record = await here.run(pipeline)
    await here.until_ready(pipeline, record)
    (before,) = here.pids(pipeline, "order")
    os.kill(before, signal.SIGKILL)
    await here.until("another process", lambda: here.pids(pipeline, "order") - {before})
    await here.until_ready(pipeline, record)
    ((_, replica),) = here.runtime.processes(pipeline.key)
    assert replica.restarts == 1


async def test_a_crash_loop_is_told_with_its_log(here: Here) -> None:
    pipeline = build(args=["crash"])
    record = await here.run(pipeline)
    state = await here.until("a problem", lambda: here.state(pipeline, record).problem)
    assert state.reason == Reason.CONTAINER_CRASHING
    assert "exit code 3" in state.message
    assert "order-0.log" in state.message


async def test_a_program_that_is_not_there_is_told(here: Here) -> None:
    pipeline = build(command=["no-such-program"])
    record = await here.run(pipeline)
    problem = await here.until("a problem", lambda: here.state(pipeline, record).problem)
    assert "no-such-program: no such program" in problem.message


async def test_a_process_that_is_not_ready_gets_no_requests_and_says_why(here: Here) -> None:
    pipeline = build()
    record = await here.run(pipeline)
    await here.until_ready(pipeline, record)
    here.entry.route(pipeline.key, _route(pipeline))
    (here.work / "unready").touch()
    problem = await here.until("a problem", lambda: here.state(pipeline, record).problem)
    assert problem.reason == Reason.ROLLOUT_STUCK
    assert "/readyz answers 503" in problem.message
    status, body = await here.get("/api/v1/order")
    assert (status, body["status"]) == (503, 503)
    assert body["detail"] == "no process of service order is ready"


async def test_a_process_that_is_not_alive_is_started_anew(here: Here) -> None:
    pipeline = build()
    record = await here.run(pipeline)
    await here.until_ready(pipeline, record)
    before = here.pids(pipeline, "order")
    (here.work / "dead").touch()
    problem = await here.until("a problem", lambda: here.state(pipeline, record).problem)
    assert "is not alive: /livez answers 500" in problem.message
    (here.work / "dead").unlink()
    await here.until_ready(pipeline, record)
    assert here.pids(pipeline, "order") != before


async def test_a_rollout_has_the_new_process_ready_before_the_old_one_goes(here: Here) -> None:
    pipeline = build()
    record = await here.run(pipeline)
    await here.until_ready(pipeline, record)
    before = here.pids(pipeline, "order")
    (here.work / "unready").touch()
    await here.until("not ready", lambda: not here.runtime.backends(pipeline.key, "order"))
    (here.work / "unready").unlink()
    await here.until_ready(pipeline, record)
    changed = await here.run(pipeline, env={**record.env, "A": "changed"})
    least = 9
    while not here.state(pipeline, changed).ready:
        least = min(least, len(here.runtime.backends(pipeline.key, "order")))
        await asyncio.sleep(0.01)
    assert least == 1
    assert not here.pids(pipeline, "order") & before


async def test_written_code_is_another_revision(here: Here) -> None:
    pipeline = build()
    record = await here.run(pipeline)
    await here.until_ready(pipeline, record)
    before = here.pids(pipeline, "order")
    assert here.images.refresh() == []
    (here.work / "src" / "code.py").write_text("")
    assert here.images.refresh() == ["order"]
    await here.run(pipeline)
    await here.until_ready(pipeline, record)
    assert not here.pids(pipeline, "order") & before


async def test_the_same_again_changes_nothing(here: Here) -> None:
    pipeline = build(replicas=2)
    record = await here.run(pipeline)
    await here.until_ready(pipeline, record)
    before = here.pids(pipeline, "order")
    await here.run(pipeline)
    assert here.pids(pipeline, "order") == before
    assert len(before) == 2


async def test_a_removed_workload_drains_within_its_time(here: Here) -> None:
    pipeline = build(config={"DRAIN": "0.3"})
    record = await here.run(pipeline)
    await here.until_ready(pipeline, record)
    (pid,) = here.pids(pipeline, "order")
    await here.runtime.prune(pipeline, [])
    assert here.runtime.holds_workloads(pipeline)
    await here.until("an end", lambda: not here.runtime.holds_workloads(pipeline))
    assert (here.work / f"stopped-{pid}").exists()
    assert not _is_running(pid)


async def test_a_process_that_does_not_drain_in_time_is_killed(here: Here) -> None:
    pipeline = build(config={"DRAIN": "60"})
    record = await here.run(pipeline, drain_seconds=0)
    await here.until_ready(pipeline, record)
    (pid,) = here.pids(pipeline, "order")
    await here.runtime.remove(pipeline.key)
    assert not _is_running(pid)


async def test_an_image_that_nothing_stands_for_is_told(here: Here) -> None:
    pipeline = build(image="registry.example.com/other:1", migrate={"args": ["migrate"]})
    record = await here.run(pipeline)
    state = here.state(pipeline, record)
    assert not state.ready
    assert state.problem
    assert "registry.example.com/other:1" in state.problem.message
    migration = build_migration(pipeline, pipeline.services[0], {})
    assert migration
    assert here.runtime.observe_migration(pipeline, migration).phase is MigrationPhase.FAILED


async def test_a_migration_runs_once_for_each_state_of_the_code(here: Here) -> None:
    pipeline, migration = _migration()
    await _migrate(here, pipeline, migration, MigrationPhase.SUCCEEDED)
    await _migrate(here, pipeline, migration, MigrationPhase.SUCCEEDED)
    assert (here.work / "migrated").read_text() == "x"
    (here.work / "src" / "0002.py").write_text("")
    here.images.refresh()
    assert here.runtime.observe_migration(pipeline, migration).phase is MigrationPhase.ABSENT
    await _migrate(here, pipeline, migration, MigrationPhase.SUCCEEDED)
    assert (here.work / "migrated").read_text() == "xx"


async def test_a_migration_that_fails_is_tried_again_and_then_told(here: Here) -> None:
    pipeline, migration = _migration(config={"MIGRATION_CODE": "4"})
    await _migrate(here, pipeline, migration, MigrationPhase.FAILED)
    problem = here.runtime.observe_migration(pipeline, migration).problem
    assert problem
    assert problem.reason == Reason.MIGRATION_FAILED
    assert "exit code 4" in problem.message
    assert len((here.work / "migrated").read_text()) > 1


async def test_the_entry_passes_bodies_and_tells_who_asked(here: Here) -> None:
    pipeline = build()
    record = await here.run(pipeline)
    await here.until_ready(pipeline, record)
    here.entry.route(pipeline.key, _route(pipeline))
    seen = (await here.get("/api/v1/order", Host="shop.localhost"))[1]["headers"]
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["X-Forwarded-Host"] == "shop.localhost"
    url = f"http://{HOST}:{here.entry.port}/api/v1/order"
    async with here.session.post(url, data=b"x" * 100_000) as answer:
        assert answer.status == 201
        assert (await answer.json(content_type=None))["said"] == "x" * 100_000


async def test_the_entry_refuses_as_a_problem_document(here: Here) -> None:
    pipeline = build()
    here.entry.route(pipeline.key, _route(pipeline))
    async with here.session.get(f"http://{HOST}:{here.entry.port}/other") as answer:
        assert answer.status == 404
        assert answer.content_type == "application/problem+json"
        assert "/api/v1/order" in (await answer.json(content_type=None))["detail"]


def _assert_private(file: Path, directory: str) -> None:
    assert json.loads(file.read_text()) == {"a": 1}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert file.parent.name == directory


def _is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _route(pipeline: EventPipeline) -> Any:
    route = build_route(pipeline)
    assert route
    return route


def _migration(**service: Any) -> tuple[EventPipeline, MigrationRecord]:
    pipeline = build(migrate={"args": ["migrate"]}, **service)
    migration = build_migration(pipeline, pipeline.services[0], {})
    assert migration
    return pipeline, migration


async def _migrate(
    here: Here, pipeline: EventPipeline, migration: MigrationRecord, phase: MigrationPhase
) -> None:
    records: list[Record] = [migration]
    await here.runtime.apply(pipeline, records)

    def there() -> bool:
        return here.runtime.observe_migration(pipeline, migration).phase is phase

    await here.until(str(phase), there)
