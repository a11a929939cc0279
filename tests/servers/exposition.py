"""What a /metrics page tells: each series with its labels and their values."""

from collections.abc import Iterable

import requests
from prometheus_client.parser import text_string_to_metric_families


def scrape(urls: Iterable[str]) -> dict[str, dict[str, set[str]]]:
    """Series → label → the values that it has, over all pages."""
    found: dict[str, dict[str, set[str]]] = {}
    for url in urls:
        page = requests.get(url, timeout=10)
        page.raise_for_status()
        for family in text_string_to_metric_families(page.text):
            for sample in family.samples:
                labels = found.setdefault(sample.name, {})
                for label, value in sample.labels.items():
                    labels.setdefault(label, set()).add(value)
    return found
