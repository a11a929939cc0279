"""Charts and what is written about them: tables as values.yaml has it, a section per alert."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
RUNBOOK = REPOSITORY / "docs" / "operations.md"
ALERTS = yaml.safe_load((REPOSITORY / "charts/eventpipeline/files/alerts.yaml").read_text())
NAMES = [rule["alert"] for g in ALERTS["groups"] for rule in g["rules"] if "alert" in rule]


def sections() -> dict[str, str]:
    """Heading of the third level → its text."""
    parts = re.split(r"^#{2,3} (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_value_has_its_line_in_the_charts_readme() -> None:
    command = [sys.executable, str(REPOSITORY / "hack" / "gen-values"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", NAMES)
def test_an_alert_has_a_section_that_says_what_to_look_at_and_what_to_do(alert: str) -> None:
    text = sections()[alert]
    meaning, look, act = re.split(r"^- \*\*(?:Look|Do):\*\* ", text, flags=re.MULTILINE)
    assert len(meaning.split()) > 8
    assert look.strip()
    assert act.strip()


def test_every_section_of_an_alert_has_its_alert() -> None:
    assert {name for name in sections() if name.startswith("EventPipeline")} == set(NAMES)
