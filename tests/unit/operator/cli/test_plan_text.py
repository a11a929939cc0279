import click

from eventpipeline_operator.cli.changes import Action, Change, Forecast, System
from eventpipeline_operator.cli.comparing import Difference
from eventpipeline_operator.cli.looking import Reach
from eventpipeline_operator.cli.plan_text import render_plan
from eventpipeline_operator.cli.planning import Plan


def rendered(forecast: Forecast) -> list[str]:
    wanted = {"metadata": {"namespace": "team", "name": "shop"}}
    return click.unstyle(render_plan(Plan(wanted, "uid", "7", forecast, Reach()))).splitlines()


def test_changes_are_told_system_by_system_with_what_differs() -> None:
    differences = (
        Difference("spec.replicas", "1", "2"),
        Difference("spec.paused", None, "true"),
        Difference("spec.strategy", "Recreate", None),
    )
    found = Forecast(
        (
            Change(System.KUBERNETES, Action.UPDATE, "Deployment shop-a", differences),
            Change(System.KAFKA, Action.CREATE, "topic orders"),
            Change(System.VAULT, Action.REVOKE, "credentials a of b"),
        ),
        ("Kafka cannot shrink a topic",),
        ("the lag decides",),
    )
    assert rendered(found) == [
        "Kafka",
        "  + create topic orders",
        "",
        "Vault",
        "  - revoke credentials a of b",
        "",
        "Kubernetes",
        "  ~ update Deployment shop-a",
        "      spec.replicas: 1 → 2",
        "      spec.paused: true",
        "      spec.strategy: Recreate → (removed)",
        "",
        "problem: Kafka cannot shrink a topic",
        "note: the lag decides",
        "3 changes: 1 to create, 1 to update, 1 to revoke.",
    ]


def test_no_change_is_one_sentence() -> None:
    assert rendered(Forecast()) == ["Nothing would change."]
