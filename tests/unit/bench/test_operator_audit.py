"""The operator's bench counts from the servers' logs: what is a write, what is excepted."""

import json
from pathlib import Path

from operatorbench.audit import LogTail, count_kubernetes, count_vault


def request(verb: str, resource: str, name: str = "a", subresource: str = "") -> str:
    about = {"resource": resource, "name": name, "namespace": "team"}
    if subresource:
        about["subresource"] = subresource
    return json.dumps({"verb": verb, "objectRef": about})


def vault_request(path: str, operation: str, user: str = "kubernetes-team") -> str:
    about = {"path": path, "operation": operation}
    return json.dumps({"type": "response", "auth": {"display_name": user}, "request": about})


def test_reads_are_no_writes() -> None:
    found = count_kubernetes([request("get", "secrets"), request("watch", "pods")])
    assert not found.writes
    assert found.reads == {"get secrets": 1, "watch pods": 1}


def test_lease_token_requests_and_vault_records_are_excepted_and_counted() -> None:
    lines = [
        request("update", "leases"),
        request("create", "serviceaccounts", subresource="token"),
        request("patch", "secrets", "eventpipeline-vault-3"),
    ]
    found = count_kubernetes(lines)
    assert not found.writes
    assert found.excepted == {"lease": 1, "token_request": 1, "vault_record": 1}


def test_a_second_write_of_one_object_is_seen_among_many() -> None:
    lines = [request("patch", "deployments", name) for name in ("a", "b", "a")]
    lines += [request("patch", "eventpipelines", "a", "status")] * 3
    found = count_kubernetes(lines)
    assert found.writes.total() == 6
    assert found.most_but("eventpipelines/status", "events") == 2
    assert found.most("eventpipelines/status") == 3


def test_vault_logins_are_excepted_and_what_root_asks_is_not_counted() -> None:
    lines = [
        vault_request("auth/kubernetes/login", "update"),
        vault_request("kv/data/team/a", "read"),
        vault_request("kv/data/team/b", "update"),
        vault_request("kv/data/team/c", "update", user="root"),
    ]
    found = count_vault(lines)
    assert found.excepted == {"login": 1}
    assert found.paths_read == {"kv/data/team/a": 1}
    assert found.writes == {"update kv/data/team/b": 1}


def test_a_line_that_is_still_being_written_waits_for_its_end(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    tail = LogTail(log)
    assert tail.read() == []
    log.write_text("one\ntw")
    assert tail.read() == ["one"]
    with log.open("a") as file:
        file.write("o\n")
    assert tail.read() == ["two"]
