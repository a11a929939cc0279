"""What a process is started with, and what makes it another revision."""

from dataclasses import replace
from pathlib import Path

import pytest

from eventpipeline_operator.adapters.local.devfile import Program
from eventpipeline_operator.adapters.local.launch import (
    Delivered,
    Launch,
    build_launch,
    inherited_environment,
    service_addresses,
    stamp_code,
)
from eventpipeline_operator.api.types import EventPipeline, Key, Probes
from eventpipeline_operator.desired.records import SecretReference, WorkloadRecord

KEY = Key("team", "shop")
PROGRAM = Program(Path("/work"), ("run",), environment={"FROM_IMAGE": "yes", "A": "image"})
RECORD = WorkloadRecord(
    "order", "order", None, "order:1", args=("api",), env={"A": "object"}, port=8080
)
SECRET = Delivered(
    SecretReference("db", "abc", "1", env=("PASSWORD",), files=("ca.pem",)),
    Path("/state/secrets/shop-db-abc"),
    {"PASSWORD": "s3cret"},
)


def build(record: WorkloadRecord = RECORD, *secrets: Delivered, stamp: str = "") -> Launch:
    return build_launch(KEY, record, PROGRAM, secrets, stamp, {"http://a.b.svc:1": "http://here:2"})


def test_the_objects_word_counts_before_the_images() -> None:
    env = build().environment("pod-1", 4711)
    assert env == {"FROM_IMAGE": "yes", "A": "object", "POD_NAME": "pod-1", "PORT": "4711"}


def test_arguments_follow_the_images_command_and_a_command_replaces_it() -> None:
    assert build().argv == ("run", "api")
    assert build(replace(RECORD, command=("other",))).argv == ("other", "api")


def test_a_worker_is_told_where_to_serve_its_metrics() -> None:
    env = build(replace(RECORD, port=None, metrics_port=9090)).environment("pod-1", 4711)
    assert env["METRICS_PORT"] == "4711"
    assert "PORT" not in env


def test_addresses_of_other_services_are_those_of_this_machine() -> None:
    assert build(replace(RECORD, env={"B_URL": "http://a.b.svc:1"})).env["B_URL"] == "http://here:2"


def test_secrets_are_variables_and_their_files_lie_elsewhere() -> None:
    config = {"CA": "/var/run/secrets/eventpipeline/db/ca.pem"}
    launch = build(replace(RECORD, env=config), SECRET)
    assert launch.env["PASSWORD"] == "s3cret"
    assert launch.env["CA"] == "/state/secrets/shop-db-abc/ca.pem"
    assert launch.secrets == {"shop-db-abc"}
    assert "s3cret" not in repr(launch)
    assert "s3cret" not in repr(SECRET)


@pytest.mark.parametrize(
    ("asked", "port"), [(None, 4711), (8080, 4711), (9000, 9000)], ids=["none", "own", "another"]
)
def test_probes_ask_the_chosen_port_unless_they_name_another(asked: int | None, port: int) -> None:
    assert build(replace(RECORD, probes=Probes(port=asked))).probe_port(4711) == port


@pytest.mark.parametrize(
    "other",
    [
        build(stamp="written"),
        build(replace(RECORD, args=("api", "-v"))),
        build(replace(RECORD, env={"A": "b"})),
        build(replace(RECORD, drain_seconds=1)),
        build(RECORD, SECRET),
        build(RECORD, replace(SECRET, reference=replace(SECRET.reference, revision="abd"))),
    ],
)
def test_whatever_a_process_sees_makes_another_revision(other: Launch) -> None:
    assert other.revision != build().revision


def test_the_tag_and_the_number_of_processes_do_not() -> None:
    assert build(replace(RECORD, image="order:2", replicas=3)).revision == build().revision


def test_the_machines_variables_are_those_that_any_program_needs() -> None:
    environ = {"PATH": "/bin", "HOME": "/home/ada", "AWS_SECRET": "x", "PORT": "1"}
    assert inherited_environment(environ) == {"PATH": "/bin", "HOME": "/home/ada"}


def test_services_with_a_port_have_addresses(pipeline: EventPipeline) -> None:
    found = service_addresses(pipeline, lambda name: f"http://here/{name}")
    assert found == {
        "http://shop-order.team.svc:8080": "http://here/order",
        "http://shop-stock.team.svc:8081": "http://here/stock",
    }


def test_code_is_what_its_files_look_like(tmp_path: Path) -> None:
    program = Program(tmp_path, ("run",), watch=(tmp_path,))
    (tmp_path / "a.py").write_text("1")
    before = stamp_code(program)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_text("")
    (tmp_path / ".a.py.swp").write_text("")
    assert stamp_code(program) == before
    (tmp_path / "b.py").write_text("")
    assert stamp_code(program) != before


def test_a_directory_that_is_not_there_has_no_code(tmp_path: Path) -> None:
    nowhere = Program(tmp_path, ("run",), watch=(tmp_path / "nowhere",))
    assert stamp_code(nowhere) == stamp_code(replace(nowhere, watch=()))
