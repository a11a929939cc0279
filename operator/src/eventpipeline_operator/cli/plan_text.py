"""A plan as a person reads it: system by system, object by object, line by line. Pure."""

from collections.abc import Iterator

import click

from eventpipeline_operator.cli.changes import Action, Change, System
from eventpipeline_operator.cli.comparing import Difference
from eventpipeline_operator.cli.planning import Plan

TITLES = {
    System.OBJECT: "The object",
    System.KAFKA: "Kafka",
    System.VAULT: "Vault",
    System.KUBERNETES: "Kubernetes",
}
SIGNS = {
    Action.CREATE: ("+", "green"),
    Action.ISSUE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("±", "yellow"),
    Action.DELETE: ("-", "red"),
    Action.REVOKE: ("-", "red"),
}


def render_plan(plan: Plan) -> str:
    """All of it."""
    return "\n".join(_lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    found = plan.forecast
    for system, title in TITLES.items():
        changes = [c for c in found.changes if c.system is system]
        if changes:
            yield click.style(title, bold=True)
            for change in changes:
                yield from _change_lines(change)
            yield ""
    for words in found.problems:
        yield click.style(f"problem: {words}", fg="red")
    for words in found.notes:
        yield f"note: {words}"
    yield _summary(found.changes)


def _change_lines(change: Change) -> Iterator[str]:
    sign, colour = SIGNS[change.action]
    yield click.style(f"  {sign} {change.action} {change.subject}", fg=colour)
    for difference in change.differences:
        yield f"      {_sentence(difference)}"


def _sentence(difference: Difference) -> str:
    if difference.before is None:
        return f"{difference.path}: {difference.after}"
    after = "(removed)" if difference.after is None else difference.after
    return f"{difference.path}: {difference.before} → {after}"


def _summary(changes: tuple[Change, ...]) -> str:
    if not changes:
        return "Nothing would change."
    counts = {action: sum(c.action is action for c in changes) for action in Action}
    told = ", ".join(f"{count} to {action}" for action, count in counts.items() if count)
    return f"{len(changes)} changes: {told}."
