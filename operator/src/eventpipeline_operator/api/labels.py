"""Labels and annotations that the operator writes and selects by."""

from eventpipeline_operator.api.names import GROUP
from eventpipeline_operator.api.types import Key

MANAGED_BY = "app.kubernetes.io/managed-by"
PART_OF = "app.kubernetes.io/part-of"
COMPONENT = "app.kubernetes.io/component"
NAME = "app.kubernetes.io/name"
MANAGER = "eventpipeline"
SELECTOR = f"{MANAGED_BY}={MANAGER}"

PIPELINE = f"{GROUP}/pipeline"
WORKLOAD = f"{GROUP}/workload"
SECRET = f"{GROUP}/secret"

SOURCE_ANNOTATION = f"{GROUP}/source"
VERSION_ANNOTATION = f"{GROUP}/version"
APPROVAL_ANNOTATION = f"{GROUP}/approve-topic-deletion"


def common_labels(key: Key) -> dict[str, str]:
    """Labels of every object of a pipeline: the watches and pruning select by them."""
    return {MANAGED_BY: MANAGER, PART_OF: key.name, PIPELINE: key.name}


def selector_labels(key: Key, workload: str) -> dict[str, str]:
    """Labels that pick the pods of one workload."""
    return {PIPELINE: key.name, WORKLOAD: workload}
