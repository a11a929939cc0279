"""`apply`: exactly the plan that was looked at, or nothing."""

import asyncio
import os
from pathlib import Path

import click

from eventpipeline_operator.adapters.kube.client import CONFLICT, ApiError
from eventpipeline_operator.cli.looking import Reach
from eventpipeline_operator.cli.plan_file import load_plan
from eventpipeline_operator.cli.planning import Plan, VaultAccess, carry_out, make_plan
from eventpipeline_operator.cli.session import Access, cluster_options, connect

STALE = "the plan is stale: since it was made {what}; make a new one"


@click.command("apply", short_help="Do exactly what a plan says")
@click.argument("plan", type=click.Path(exists=True, dir_okay=False))
@click.option("--vault-address", envvar="VAULT_ADDR", help="Where Vault is reached from here.")
@click.option("--vault-ca", envvar="VAULT_CACERT", help="File of authorities for Vault.")
@cluster_options
def command(*, access: Access, plan: str, vault_address: str | None, vault_ca: str | None) -> None:
    """Write the object of a plan that `plan --out` has kept; the operator does the rest.

    Refuses when anything that the plan speaks of has changed in the meantime.
    """
    vault = VaultAccess(vault_address, os.environ.get("VAULT_TOKEN"), vault_ca)
    done = asyncio.run(_apply(access, Path(plan), vault))
    meta = done.wanted["metadata"]
    if not done.forecast.changes:
        click.echo("Nothing to do.")
        return
    click.echo(f"Applied. See: eventpipeline status -n {meta['namespace']} {meta['name']} --watch")


async def _apply(access: Access, path: Path, vault: VaultAccess) -> Plan:
    kept = load_plan(path)
    async with connect(access, writes=True) as connected:
        session = connected.within(kept["namespace"])
        fresh = await make_plan(session, kept["wanted"], Reach(**kept["reach"]), vault)
        _refuse_stale(kept, fresh)
        if fresh.forecast.changes:
            try:
                await carry_out(session, fresh)
            except ApiError as error:
                if error.status == CONFLICT:
                    raise click.ClickException(STALE.format(what="the object changed")) from error
                raise
        return fresh


def _refuse_stale(kept: dict[str, object], fresh: Plan) -> None:
    now = fresh.to_dict()
    for field, what in (
        ("uid", "the object was deleted or made anew"),
        ("resourceVersion", "the object changed"),
        ("changes", "what there is changed"),
        ("problems", "what there is changed"),
    ):
        if kept[field] != now[field]:
            raise click.ClickException(STALE.format(what=what))
