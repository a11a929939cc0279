"""The servers that dev.yaml asks for: what stands for Kafka, Postgres, mail server and Vault."""

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from eventpipeline_operator.adapters.local.backing.kafka import KafkaServer
from eventpipeline_operator.adapters.local.backing.mail import MailCatcher
from eventpipeline_operator.adapters.local.backing.packages import Packages
from eventpipeline_operator.adapters.local.backing.postgres import PostgresServer
from eventpipeline_operator.adapters.local.backing.postgres_users import PostgresUsers
from eventpipeline_operator.adapters.local.backing.vault_local import LocalVault
from eventpipeline_operator.adapters.local.backing.vault_server import VaultServer
from eventpipeline_operator.adapters.local.backing.vault_stand_in import VaultStandIn
from eventpipeline_operator.adapters.local.devfile import DevFile, Stand
from eventpipeline_operator.adapters.local.files import FileSafe
from eventpipeline_operator.adapters.local.no_vault import NoVault
from eventpipeline_operator.adapters.local.presenter import Presenter
from eventpipeline_operator.adapters.local.servers import Server, Servers
from eventpipeline_operator.adapters.local.state import State


class VaultChoice(StrEnum):
    """Which Vault there is to be."""

    FOUND = "a real one where it is found, else the stand-in"
    REAL = "a real one, built where it is not found"
    STAND_IN = "the stand-in"


LocalVaultPort = LocalVault | VaultStandIn | NoVault


@dataclass(frozen=True)
class Base:
    """What there is before any server."""

    state: State
    devfile: DevFile
    vault: VaultChoice
    safe: FileSafe
    presenter: Presenter


def build_servers(base: Base) -> Servers:
    """Those that some address of the object stands for, each found or fetched when it starts."""
    state, packages = base.state, Packages(os.environ, say=base.presenter.say)
    contents = base.devfile.secrets or state.root / "no-secrets.yaml"

    async def kafka() -> Server:
        return KafkaServer(await packages.kafka(), state.servers / "kafka")

    async def postgres() -> Server:
        return PostgresServer(await packages.postgres(), state.servers / "postgres")

    async def mail() -> Server:
        return MailCatcher(state.servers / "mail")

    async def vault() -> Server:
        programs = None
        if base.vault is not VaultChoice.STAND_IN:
            programs = await packages.vault(build=base.vault is VaultChoice.REAL)
        if programs is None:
            return VaultStandIn(contents, state.file("vault"), PostgresUsers(url), time.time)
        server = VaultServer(programs, state.servers / "vault")
        return LocalVault(server, contents, url, base.safe, time.time)

    def url(database: str) -> str:
        return cast(PostgresServer, servers.get(Stand.POSTGRES)).url(database)

    builders = {
        Stand.KAFKA: kafka,
        Stand.POSTGRES: postgres,
        Stand.MAIL: mail,
        Stand.VAULT: vault,
    }
    wanted = set(base.devfile.addresses.values())
    if Stand.VAULT in wanted:
        wanted.add(Stand.POSTGRES)  # it makes users there
    servers = Servers({s: b for s, b in builders.items() if s in wanted}, base.presenter.changed)
    return servers


def find_vault(servers: Servers, devfile: DevFile) -> LocalVaultPort:
    """Whoever is asked for secrets."""
    if Stand.VAULT not in devfile.addresses.values():
        return NoVault()
    return cast(LocalVaultPort, servers.get(Stand.VAULT))
