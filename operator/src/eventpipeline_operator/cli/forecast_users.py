"""The graph as it was and as it will be → which Kafka users an apply makes, changes and removes.

Foreseen from the object and its status alone: to see users in Kafka one needs rights on the whole
cluster, which who plans seldom has. Pure.
"""

from collections.abc import Iterator, Mapping

from eventpipeline_operator.api import names
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.cli.changes import Action, Change, System
from eventpipeline_operator.cli.comparing import compare
from eventpipeline_operator.desired.kafka_users import build_kafka_users, name_login
from eventpipeline_operator.desired.records import SecretReference

NEW = "(new)"


def known_logins(pipeline: EventPipeline) -> dict[str, str]:
    """Names of delivered logins by their entries, as status tells them."""
    items = (pipeline.status.get("users") or {}).get("items") or ()
    return {
        names.user_entry(pipeline.key, item["userName"]): item["secretName"]
        for item in items
        if "secretName" in item
    }


def foresee_logins(pipeline: EventPipeline) -> dict[str, SecretReference]:
    """How workloads will name their logins; the revision of a new one is not known before."""
    known, found = known_logins(pipeline), {}
    for user in _rights(pipeline):
        login = name_login(pipeline, user)
        prefix = names.object_name(pipeline.key, login.entry, "")
        revision = known.get(login.entry, NEW).removeprefix(prefix)
        found[login.entry] = name_login(pipeline, user, revision)
    return found


def user_changes(pipeline: EventPipeline, live: EventPipeline | None) -> Iterator[Change]:
    """Users with what each may do."""
    items = (pipeline.status.get("users") or {}).get("items") or ()
    there = {item["userName"] for item in items}
    before, after = _rights(live) if live else {}, _rights(pipeline)
    for user, rights in after.items():
        if user not in there:
            yield Change(
                System.KAFKA, Action.CREATE, f"user {user}", compare(None, dict(rights), "may")
            )
        elif before.get(user, {}) != rights:
            differences = compare(dict(before.get(user, {})), dict(rights), "may")
            yield Change(System.KAFKA, Action.UPDATE, f"user {user}", differences)
    for user in sorted(there - after.keys()):
        yield Change(System.KAFKA, Action.DELETE, f"user {user}")


def _rights(pipeline: EventPipeline) -> Mapping[str, Mapping[str, str]]:
    """What each user may do, by what with."""
    found: dict[str, dict[str, str]] = {}
    for record in build_kafka_users(pipeline) if pipeline.kafka_users else ():
        rights = found.setdefault(record.name, {})
        for acl in sorted(record.acls):
            before = f"{rights[acl.subject]}, " if acl.subject in rights else ""
            rights[acl.subject] = before + acl.operation
    return found
