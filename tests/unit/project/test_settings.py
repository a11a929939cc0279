"""docs/settings.md has every variable that a service reads, with its default, and no other."""

import re
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import pytest

from email_service.config import EmailSettings
from eventbus.settings import ServiceSettings
from order_service.config import OrderSettings
from stock_service.config import StockSettings

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "settings.md"
ROW = re.compile(r"^\| `(\w+)` \|([^|]*)\|[^|]+\|$", re.MULTILINE)


def documented(section: str) -> dict[str, str]:
    """Variable → default, of one section."""
    text = DOCUMENT.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return {name: default.strip() for name, default in ROW.findall(text)}


def declared(settings: type[ServiceSettings]) -> dict[str, str]:
    """The same, as the table writes it, of what a class adds to its base."""
    known = set() if settings is ServiceSettings else {f.name for f in fields(ServiceSettings)}
    return {f.metadata["env"]: written(f) for f in fields(settings) if f.name not in known}


def written(item: Field[Any]) -> str:
    words = ["required"] if item.default is MISSING else []
    words += [f"`{item.default}`"] if item.default not in (MISSING, "") else []
    words += [] if item.repr else ["secret"]
    return ", ".join(words)


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("Every service", ServiceSettings),
        ("order", OrderSettings),
        ("stock", StockSettings),
        ("email", EmailSettings),
    ],
)
def test_the_table_is_what_is_declared(section: str, settings: type[ServiceSettings]) -> None:
    assert documented(section) == declared(settings)
