"""spec.kafka.client: parsed, told to containers by reference, resolved for the operator."""

from typing import Any

import pytest

from eventpipeline_operator.adapters.kafka_security import (
    REMEMBERED_SECONDS,
    KafkaSecurity,
    parse_admins,
)
from eventpipeline_operator.adapters.kube.pods import build_pod_template
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.desired.records import SecretReference
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from eventpipeline_operator.errors import Stalled
from unit.operator.bodies import build_pipeline, build_spec

Json = dict[str, Any]
SASL = {"mechanism": "SCRAM-SHA-512", "secret": "login"}
BOTH = {"tls": {"caSecret": "ca"}, "sasl": SASL}
DELIVERED = {"db": SecretReference("db", "r1", "1"), "mail": SecretReference("mail", "r2", "1")}


def spec_with(client: Json | None) -> Json:
    spec = build_spec()
    if client is not None:
        spec["kafka"]["client"] = client
    return spec


def pod_of(client: Json | None) -> Json:
    pipeline = build_pipeline(spec_with(client))
    relay = build_workloads(pipeline, pipeline.services[0], DELIVERED)[1]
    found: Json = build_pod_template(pipeline.key, relay, "config")["spec"]
    return found


@pytest.mark.parametrize(
    ("client", "protocol", "mechanism"),
    [
        (None, None, None),
        ({"tls": {}}, "SSL", None),
        ({"sasl": SASL}, "SASL_PLAINTEXT", "SCRAM-SHA-512"),
        (BOTH, "SASL_SSL", "SCRAM-SHA-512"),
    ],
)
def test_containers_are_told_protocol_and_mechanism(
    client: Json | None, protocol: str | None, mechanism: str | None
) -> None:
    pipeline = build_pipeline(spec_with(client))
    for record in build_workloads(pipeline, pipeline.services[0], DELIVERED):
        assert record.env.get("KAFKA_SECURITY_PROTOCOL") == protocol
        assert record.env.get("KAFKA_SASL_MECHANISM") == mechanism


def test_an_unknown_mechanism_stalls() -> None:
    with pytest.raises(Stalled, match="GSSAPI"):
        build_pipeline(spec_with({"sasl": {**SASL, "mechanism": "GSSAPI"}}))


def test_credentials_are_told_by_reference_and_the_authority_is_mounted() -> None:
    pod = pod_of(BOTH)
    env = {each["name"]: each for each in pod["containers"][0]["env"]}
    for variable, key in (("USERNAME", "username"), ("PASSWORD", "password")):
        reference = env[f"KAFKA_SASL_{variable}"]["valueFrom"]["secretKeyRef"]
        assert reference == {"name": "login", "key": key}
    location = env["KAFKA_SSL_CA_LOCATION"]["value"]
    (mount,) = (m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "kafka-ca")
    assert location == f"{mount['mountPath']}/ca.crt"
    (volume,) = (v for v in pod["volumes"] if v["name"] == "kafka-ca")
    assert volume["secret"]["secretName"] == "ca"


def test_a_migration_is_told_the_same() -> None:
    pipeline = build_pipeline(spec_with(BOTH))
    migration = build_migration(pipeline, pipeline.services[0], DELIVERED)
    assert migration
    assert migration.workload.kafka_client == pipeline.kafka_client


def test_without_a_client_nothing_is_told() -> None:
    pod = pod_of(None)
    assert not [e for e in pod["containers"][0]["env"] if e["name"].startswith("KAFKA_")]
    assert "kafka-ca" not in {v["name"] for v in pod["volumes"]}


class Cluster:
    """Secrets by namespace and name; counts how often it is asked."""

    def __init__(self) -> None:
        self.secrets = {
            ("team", "login"): {"username": "shop", "password": "of-the-pipeline"},
            ("team", "ca"): {"ca.crt": "PEM"},
            ("system", "login"): {"username": "admin", "password": "of-the-operator"},
        }
        self.asked = 0
        self.now = 0.0

    async def read(self, namespace: str, name: str) -> dict[str, str]:
        self.asked += 1
        return self.secrets.get((namespace, name), {})

    def security(self, admins: Json | None = None) -> KafkaSecurity:
        return KafkaSecurity(self.read, "system", parse_admins(admins or {}), lambda: self.now)


def access(client: Json | None = BOTH, namespace: str = "team") -> KafkaAccess:
    found = build_pipeline(spec_with(client)).kafka_access
    return KafkaAccess(found.servers, namespace, found.client)


async def test_the_operator_uses_the_pipelines_client() -> None:
    assert await Cluster().security().settings(access()) == {
        "security.protocol": "SASL_SSL",
        "ssl.ca.pem": "PEM",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "shop",
        "sasl.password": "of-the-pipeline",
    }


async def test_without_a_client_the_operator_is_nobody() -> None:
    assert await Cluster().security().settings(access(None)) == {}


@pytest.mark.parametrize(
    ("servers", "namespaces", "user"),
    [
        ("kafka:9092", ["team"], "admin"),
        ("kafka:9092", ["*"], "admin"),
        ("kafka:9092", ["other"], "shop"),
        ("kafka:9092,evil:9092", ["*"], "shop"),
    ],
)
async def test_the_installers_identity_counts_where_it_was_given(
    servers: str, namespaces: list[str], user: str
) -> None:
    admins = {servers: {"sasl": SASL, "namespaces": namespaces}}
    found = await Cluster().security(admins).settings(access())
    assert found["sasl.username"] == user


@pytest.mark.parametrize(
    ("secret", "key"), [("login", "username"), ("login", "password"), ("ca", "ca.crt")]
)
async def test_a_missing_key_is_named(secret: str, key: str) -> None:
    cluster = Cluster()
    cluster.secrets["team", secret].pop(key)
    with pytest.raises(Stalled) as raised:
        await cluster.security().settings(access())
    assert raised.value.reason == Reason.KAFKA_SECRET_MISSING
    assert f"Secret {secret} with a key {key} is not there in namespace team" in str(raised.value)
    assert "of-the-pipeline" not in str(raised.value)


async def test_a_secret_is_read_once_a_minute_and_anew_after_a_refusal() -> None:
    cluster = Cluster()
    security = cluster.security()
    for _ in range(3):
        await security.settings(access({"sasl": SASL}))
    assert cluster.asked == 1
    cluster.now = REMEMBERED_SECONDS
    await security.settings(access({"sasl": SASL}))
    assert cluster.asked == 2
    security.forget()
    await security.settings(access({"sasl": SASL}))
    assert cluster.asked == 3
