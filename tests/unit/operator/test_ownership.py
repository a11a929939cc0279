"""What is ours in a live object: extraction gives back the manifest that was applied."""

import copy
from typing import Any

from eventpipeline_operator.adapters.kube.ownership import (
    digest_owned,
    digest_wanted,
    extract_owned,
)

Json = dict[str, Any]

WANTED: Json = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "team", "labels": {"a": "b"}},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "args": ["x", "y"],
                        "env": [{"name": "B", "value": "1"}, {"name": "A", "value": "2"}],
                        "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    }
                ],
                "volumes": [{"name": "tmp", "emptyDir": {}}],
            }
        },
    },
}
FIELDS: Json = {
    "f:metadata": {"f:labels": {"f:a": {}}},
    "f:spec": {
        "f:selector": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"main"}': {
                        ".": {},
                        "f:name": {},
                        "f:args": {},
                        "f:env": {
                            'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
                            'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
                        },
                        "f:ports": {
                            'k:{"containerPort":80,"protocol":"TCP"}': {
                                ".": {},
                                "f:containerPort": {},
                                "f:protocol": {},
                            }
                        },
                    }
                },
                "f:volumes": {'k:{"name":"tmp"}': {".": {}, "f:name": {}, "f:emptyDir": {}}},
            }
        },
    },
}


def build_live() -> Json:
    """The object after the server's defaults and other writers."""
    live = copy.deepcopy(WANTED)
    live["metadata"] |= {
        "uid": "u",
        "resourceVersion": "7",
        "labels": {"a": "b", "theirs": "yes"},
        "managedFields": [
            {"manager": "kubectl-scale", "operation": "Update", "fieldsV1": {"f:spec": {}}},
            {
                "manager": "eventpipeline",
                "operation": "Apply",
                "subresource": "status",
                "fieldsV1": {"f:status": {}},
            },
            {"manager": "eventpipeline", "operation": "Apply", "fieldsV1": FIELDS},
        ],
    }
    live["spec"]["replicas"] = 5
    container = live["spec"]["template"]["spec"]["containers"][0]
    container["imagePullPolicy"] = "Always"
    container["env"].insert(1, {"name": "THEIRS", "value": "3"})
    live["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "z"})
    live["status"] = {"replicas": 5}
    return live


def test_defaults_and_fields_of_others_do_not_count() -> None:
    assert digest_owned(build_live()) == digest_wanted(WANTED)


def test_extraction_gives_back_what_was_applied() -> None:
    extracted = extract_owned(build_live())
    assert extracted["spec"] == WANTED["spec"]
    assert extracted["metadata"] == {"labels": {"a": "b"}}


def test_a_changed_value_shows() -> None:
    live = build_live()
    live["spec"]["template"]["spec"]["containers"][0]["args"] = ["x"]
    assert digest_owned(live) != digest_wanted(WANTED)


def test_a_lost_field_shows() -> None:
    live = build_live()
    ours = live["metadata"]["managedFields"][2]
    ours["fieldsV1"] = copy.deepcopy(FIELDS)
    del ours["fieldsV1"]["f:metadata"]
    assert digest_owned(live) != digest_wanted(WANTED)


def test_a_field_that_is_no_longer_wanted_shows() -> None:
    slimmer = copy.deepcopy(WANTED)
    del slimmer["metadata"]["labels"]
    assert digest_owned(build_live()) != digest_wanted(slimmer)


def test_an_object_that_we_never_applied_is_not_ours() -> None:
    live = build_live()
    live["metadata"]["managedFields"] = []
    assert extract_owned(live) == {}
