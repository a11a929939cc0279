"""What the operator's dashboard and alerts ask for is what the running operator tells."""

from typing import Any

import pytest

from charts.queries import SCRAPED, every_query
from servers.exposition import scrape
from servers.kubernetes_operator import OperatorProcess


@pytest.mark.usefixtures("ready_shop")
def test_every_series_and_label_is_told(operator: OperatorProcess) -> None:
    told: dict[str, Any] = scrape([operator.metrics_url])
    # A fault that did not happen: what it would tell is held against the declaration elsewhere.
    told.setdefault("eventpipeline_objects_not_ready", {"reason": set()})
    asked = {
        (query.where, name, label)
        for query in every_query()
        for name, labels in query.series().items()
        if name.startswith(("eventpipeline_", "process_"))
        for label in labels - SCRAPED | {""}
    }
    assert len(asked) > 20
    unknown = {
        each for each in asked if each[1] not in told or (each[2] and each[2] not in told[each[1]])
    }
    assert unknown == set()
