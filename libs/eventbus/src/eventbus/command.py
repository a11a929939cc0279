"""The command line that all services share: one image, several kinds of process.

`api` (the default) serves HTTP; `migrate` prepares the database, `dead-letters` lists what was put
aside and `redrive [ID…]` sends it again: these end by themselves. Everything else names a loop;
several names run as threads of one process, and `worker` runs all of them.
"""

import gc
import os
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from eventbus import logs
from eventbus.settings import ServiceSettings, SettingsError
from eventbus.tracing import Tracing, build_tracing

log = structlog.get_logger(__name__)

# The records of a batch go without the collector's help: it need not look at them either. (Not so
# in an API, whose requests leave cycles behind: few at a time, they are still in the cache.)
_OBJECTS_OF_A_LARGE_BATCH = 20_000


@dataclass(frozen=True)
class Context:
    """What every part of a process is built from."""

    settings: Any
    environ: Mapping[str, str]
    tracing: Tracing


@dataclass(frozen=True)
class Service:
    """What one service consists of: `module:function` names, imported where they are needed only.

    So an API loads no Kafka client and a worker no web server.
    """

    settings: type[ServiceSettings]
    api: str
    loops: Mapping[str, str]
    migrations: Path
    tasks: Mapping[str, str] = field(default_factory=dict)  # loops that come to an end


def main(service: Service, arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; answers the exit code."""
    roles = list(sys.argv[1:] if arguments is None else arguments) or ["api"]
    if not _is_known(roles, service):
        known = ["api", "migrate", "dead-letters", "redrive [ID…]", *service.tasks, "worker"]
        known += service.loops
        sys.stderr.write(f"usage: {' | '.join(known)} (loops may be combined)\n")
        return 2
    try:
        settings = service.settings.from_env(os.environ)
    except SettingsError as error:
        sys.stderr.write(f"the environment is not complete: {error}\n")
        return 2
    logs.configure(settings.log_level, service=settings.service, worker=settings.worker)
    return _run(service, settings, roles)


def _run(service: Service, settings: ServiceSettings, roles: Sequence[str]) -> int:
    match roles:
        case ["migrate"]:
            from eventbus.migrations import migrate  # noqa: PLC0415  # loads SQLAlchemy

            migrate(service.migrations, os.environ)
            return 0
        case ["api"]:
            return _serve(service, settings)
        case ["dead-letters"] | ["redrive", *_]:
            return _tend_dead_letters(settings, roles)
        case ["worker"]:
            return _work(service.loops, settings, settings.metrics_port)
        case [task] if task in service.tasks:  # often beside a worker that has the port
            return _work({task: service.tasks[task]}, settings)
        case _:
            loops = {role: service.loops[role] for role in roles}
            return _work(loops, settings, settings.metrics_port)


def _is_known(roles: Sequence[str], service: Service) -> bool:
    match roles:
        case ["api"] | ["migrate"] | ["dead-letters"] | ["worker"]:
            return True
        case ["redrive", *ids]:
            return all(text.isdecimal() for text in ids)
        case [task] if task in service.tasks:
            return True
        case _:
            return all(role in service.loops for role in roles)


def _tend_dead_letters(settings: ServiceSettings, roles: Sequence[str]) -> int:
    from eventbus.database import Database  # noqa: PLC0415
    from eventbus.dlq import list_dead_letters, redrive  # noqa: PLC0415

    database = Database(settings.database_url, 1)
    if roles[0] == "redrive":
        log.info("dead_letters.redriven", count=redrive(database, [int(i) for i in roles[1:]]))
    else:
        for letter in list_dead_letters(database):
            sys.stdout.write(f"{letter.id}\t{letter.created_at}\t{letter.origin}\t{letter.cause}\n")
    database.close()
    return 0


def _serve(service: Service, settings: ServiceSettings) -> int:
    from eventbus.web.server import serve  # noqa: PLC0415  # loads gunicorn

    def create() -> Any:
        build = pkgutil.resolve_name(service.api)
        served = build(Context(settings, os.environ, build_tracing(settings)))
        _spare_the_collector()
        return served

    return serve(settings, create)


def _work(named: Mapping[str, str], settings: ServiceSettings, metrics_port: int = 0) -> int:
    from eventbus.runtime import Worker  # noqa: PLC0415  # loads the metrics registry

    context = Context(settings, os.environ, build_tracing(settings))
    try:
        loops = {name: pkgutil.resolve_name(build)(context) for name, build in named.items()}
    except (KeyError, ValueError) as error:
        log.error("worker.misconfigured", cause=str(error))  # noqa: TRY400  # says it all
        return 2
    _spare_the_collector()
    gc.set_threshold(_OBJECTS_OF_A_LARGE_BATCH)
    code = Worker(loops, metrics_port).run()
    context.tracing.close()
    return code


def _spare_the_collector() -> None:
    """Modules, models and routes live as long as the process: no collection need look at them.

    Each full one walked through all of them: a sixth of a busy consumer's time, in pauses of tens
    of milliseconds.
    """
    gc.collect()
    gc.freeze()
