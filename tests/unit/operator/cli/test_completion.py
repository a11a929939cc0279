import sys

import pytest
from click.testing import CliRunner

from eventpipeline_operator.cli.completion import complete_for_kubectl
from eventpipeline_operator.cli.program import program


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    script = CliRunner().invoke(program, ["completion", shell]).output
    assert "_EVENTPIPELINE_COMPLETE" in script


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["ex"], ["explain\tCause, difference, call and result of each generation", ":4"]),
        (["dlq", ""], ["list", "redrive", "show", ":4"]),
        (["status", "--out"], ["--output", ":4"]),
        (["status", "--output", "y"], ["yaml", ":4"]),
        (["apply", ""], [":0"]),
    ],
)
def test_kubectl_gets_its_lines(
    words: list[str],
    completed: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-eventpipeline", *words])
    complete_for_kubectl()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("\t")[0] for line in lines] == [
        line.partition("\t")[0] for line in completed
    ]


def test_names_are_not_completed_where_no_cluster_answers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "explain", "--kubeconfig", "/nowhere", "sh"])
    complete_for_kubectl()
    assert capsys.readouterr().out == ":4\n"
