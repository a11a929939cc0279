"""`plan`: what an apply would change in Kubernetes, Kafka and Vault; changes nothing itself."""

import asyncio
import os
import sys
from pathlib import Path

import click

from eventpipeline_operator.cli.looking import Reach
from eventpipeline_operator.cli.output import format_output, output_option
from eventpipeline_operator.cli.plan_file import save_plan
from eventpipeline_operator.cli.plan_text import render_plan
from eventpipeline_operator.cli.planning import Plan, VaultAccess, make_plan, parse_source
from eventpipeline_operator.cli.session import Access, cluster_options, connect

NO_CHANGES, CHANGES = 0, 2


@click.command("plan", short_help="What an apply would change, without changing anything")
@click.option("-f", "--file", required=True, help="The object; - is stdin.")
@click.option("--out", type=click.Path(dir_okay=False), help="Keep the plan for `apply`.")
@click.option("--bootstrap-servers", help="Where Kafka is reached from here.")
@click.option("--skip-kafka", is_flag=True, help="Foresee nothing of topics.")
@click.option("--vault-address", envvar="VAULT_ADDR", help="Where Vault is reached from here.")
@click.option("--vault-ca", envvar="VAULT_CACERT", help="File of authorities for Vault.")
@click.option("--traefik-class", help="What the operator knows as Traefik's IngressClass.")
@output_option
@cluster_options
def command(  # noqa: PLR0913 - one for each option
    *,
    access: Access,
    file: str,
    out: str | None,
    bootstrap_servers: str | None,
    skip_kafka: bool,
    vault_address: str | None,
    vault_ca: str | None,
    traefik_class: str | None,
    output: str,
) -> None:
    """Compare an object with what there is: Kubernetes, Kafka, Vault.

    Only reads, and of Vault only the versions of kv secrets, with the token in VAULT_TOKEN.
    Exit code: 0 nothing would change, 2 something would, 1 an error.
    """
    reach = Reach(not skip_kafka, bootstrap_servers, traefik_class)
    vault = VaultAccess(vault_address, os.environ.get("VAULT_TOKEN"), vault_ca)
    plan = asyncio.run(_make(access, file, reach, vault))
    if out:
        save_plan(Path(out), plan)
    click.echo(format_output(output, plan.to_dict(), lambda: render_plan(plan)))
    sys.exit(CHANGES if plan.forecast.changes else NO_CHANGES)


async def _make(access: Access, file: str, reach: Reach, vault: VaultAccess) -> Plan:
    async with connect(access) as session:
        wanted = await parse_source(session, file, access.namespace)
        return await make_plan(
            session.within(wanted["metadata"]["namespace"]), wanted, reach, vault
        )
