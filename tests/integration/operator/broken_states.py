"""States in which an object cannot become Ready, and what has to be said of each.

A sealed Vault and a broker that refuses a login would break more than one object: they are in
under_faults/test_vault_sealed.py and test_kafka_security.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from servers.kubernetes_cluster import Cluster

Json = dict[str, Any]
NOBODY = "127.0.0.1:1"
ACCOUNT = "vault"
PAGE = {"name": "page", "image": "page:1", "port": 80}


@dataclass(frozen=True)
class Place:
    """Where the objects are and what they can reach."""

    cluster: Cluster
    kafka: str
    vault: str

    @property
    def namespace(self) -> str:
        return self.cluster.namespace

    def whole(self, spec: Json) -> Json:
        """A spec with what all have."""
        return {"kafka": {"bootstrapServers": self.kafka}, **spec}

    def topic(self, **entry: object) -> Json:
        """A spec with one topic."""
        return {"topics": [{"name": "orders", **entry}]}

    def secret(
        self, source: Json | None = None, key: str = "USER", login: Json | None = None,
        **vault: str,
    ) -> Json:  # fmt: skip
        """A spec with one secret."""
        kubernetes = {"role": self.namespace, "serviceAccount": ACCOUNT, **(login or {})}
        auth = {"kubernetes": kubernetes}
        entry = {
            "name": "db",
            "vault": source or {"kv": {"path": f"{self.namespace}/db"}},
            "env": {"DB": f"{{{key}}}"},
        }
        return {"vault": {"address": self.vault, "auth": auth, **vault}, "secrets": [entry]}


@dataclass(frozen=True)
class Broken:
    """An object, what befalls it, and what is told of it: reason, field or object, way out."""

    name: str
    spec: Callable[[Place], Json]
    reason: str
    named: str
    way_out: str
    befall: Callable[[Cluster], None] | None = None


def page(**fields: object) -> Callable[[Place], Json]:
    return lambda _: {"services": [{**PAGE, **fields}]}


def pod(name: str, state: Json) -> Callable[[Cluster], None]:
    """A container in this state."""
    about = {"name": "main", "image": "page:1", "imageID": "", "ready": False, "restartCount": 1}
    status = {"containerStatuses": [{**about, **state}]}
    return lambda cluster: cluster.create_pod(f"{name}-page", status)


def waiting(reason: str, **more: object) -> Json:
    return {"state": {"waiting": {"reason": reason, "message": "as the kubelet says"}}, **more}


def rollout(name: str, kind: str, status: str) -> Callable[[Cluster], None]:
    condition = {"type": kind, "status": status, "reason": "Because", "message": "quota exceeded"}
    return lambda cluster: cluster.refuse_rollout(f"{name}-page", condition)


def unschedulable(cluster: Cluster) -> None:
    condition = {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available",
    }  # fmt: skip
    cluster.create_pod("crowded-page", {"conditions": [condition]})


def failing_migration(cluster: Cluster) -> None:
    (job,) = (name for name in cluster.names("jobs") if name.startswith("migration-"))
    cluster.fail_job(job)


TOPICS = (
    Broken("kafka-away", lambda p: {**p.topic(), "kafka": {"bootstrapServers": NOBODY}},
           "KafkaUnavailable", f"Kafka at {NOBODY}", "check spec.kafka.bootstrapServers"),
    Broken("kafka-secret", lambda p: {
               **p.topic(),
               "kafka": {"bootstrapServers": p.kafka, "client": {"tls": {"caSecret": "absent"}}},
           },
           "KafkaSecretMissing", "Secret absent with a key ca.crt", "create it"),
    Broken("no-logins", lambda p: {
               **p.topic(), "kafka": {"bootstrapServers": p.kafka, "users": {}},
           },
           "KafkaUsersNotSupported", "spec.kafka.users: at spec.kafka.bootstrapServers nobody",
           "or remove spec.kafka.users"),
    Broken("refused", lambda p: p.topic(config={"cleanup.policy": "nonsense"}),
           "TopicRefused", "topic {ns}.refused.orders", "correct its entry in spec.topics"),
    Broken("elsewhere", lambda p: p.topic(topicName="market.prices"),
           "TopicNameDenied", "spec.topics[orders].topicName", "rename it or ask"),
    Broken("younger", lambda p: p.topic(topicName=f"{p.namespace}.older.orders"),
           "TopicConflict", "EventPipeline {ns}/older", "rename it here"),
    Broken("shrunk", lambda p: p.topic(partitions=1),
           "PartitionDecreaseRefused", "spec.topics[orders].partitions", "set 3 or declare"),
    Broken("copies", lambda p: p.topic(partitions=3, replicationFactor=2),
           "ReplicationFactorDiffers", "spec.topics[orders].replicationFactor",
           "set the field to what is"),
    Broken("no-external", lambda p: p.topic(external={"topicName": f"{p.namespace}.none"}),
           "ExternalTopicMissing", "spec.topics[orders].external", "create it or correct"),
    Broken("not-shared", lambda p: p.topic(external={"topicName": "market.prices"}),
           "ExternalTopicDenied", "spec.topics[orders].external", "declare and share it"),
)  # fmt: skip
SECRETS = (
    Broken("vault-away", lambda p: p.secret(address=f"http://{NOBODY}"),
           "VaultUnavailable", "spec.secrets[db]", "check spec.vault.address"),
    Broken("vault-login", lambda p: p.secret(login={"role": "theirs"}),
           "VaultLoginDenied", "refuses role theirs", "bind the role"),
    Broken("vault-read", lambda p: p.secret({"kv": {"path": "theirs"}}),
           "VaultReadDenied", "read kv/data/theirs", "allow it in a policy of the role"),
    Broken("no-secret", lambda p: p.secret({"kv": {"path": f"{p.namespace}/none"}}),
           "SecretNotFound", "kv/{ns}/none", "write it or correct spec.secrets"),
    Broken("no-key", lambda p: p.secret(key="NONE"),
           "SecretKeyMissing", "spec.secrets[db].env.DB: no key 'NONE'", "there are: USER"),
    Broken("no-lease", lambda p: p.secret({"dynamic": {"path": f"kv/data/{p.namespace}/db"}}),
           "CredentialsRefused", "kv/data/{ns}/db", "name a path that makes credentials"),
    Broken("no-account", lambda p: p.secret(login={"serviceAccount": "absent"}),
           "ServiceAccountMissing", "spec.vault.auth.kubernetes.serviceAccount: absent",
           "create it"),
    Broken("no-authority", lambda p: p.secret(
               address=f"https://{NOBODY}", caSecret="absent"
           ),
           "InvalidSpec", "spec.vault.caSecret: Secret absent", "create it"),
)  # fmt: skip
WORKLOADS = (
    Broken("paused", lambda _: {"suspend": True}, "Suspended", "spec.suspend", "set to false"),
    Broken("route", lambda _: {
               "services": [{**PAGE, "path": "/"}],
               "ingress": {"className": "nginx", "host": "a.localhost", "retries": 2},
           },
           "RouteFeatureNotSupported", "spec.ingress.retries", "remove it"),
    Broken("foreign", page(), "ObjectConflict", "Deployment foreign-page", "rename the service"),
    Broken("odd", page(nodeSelector={"no such label!": "x"}),
           "ObjectRefused", "Deployment odd-page", "correct the part of spec"),
    Broken("migration", page(migrate={"args": ["migrate"]}),
           "MigrationFailed", "Job migration-page", "delete the Job to run it again",
           failing_migration),
    Broken("no-image", page(), "ImagePullFailed", "pod no-image-page-1", "check its name",
           pod("no-image", waiting("ImagePullBackOff"))),
    Broken("crash", page(), "ContainerCrashing", "pod crash-page-1",
           "kubectl logs crash-page-1 --previous",
           pod("crash", waiting("CrashLoopBackOff",
                                lastState={"terminated": {"exitCode": 3, "reason": "Error"}}))),
    Broken("unset", page(), "ContainerConfigError", "pod unset-page-1", "create what it misses",
           pod("unset", waiting("CreateContainerConfigError"))),
    Broken("crowded", page(), "PodUnschedulable", "pod crowded-page-1", "or add nodes",
           unschedulable),
    Broken("quota", page(), "PodsRefused", "Deployment quota-page", "change the quota",
           rollout("quota", "ReplicaFailure", "True")),
    Broken("stuck", page(), "RolloutStuck", "Deployment stuck-page",
           "kubectl describe deployment stuck-page", rollout("stuck", "Progressing", "False")),
)  # fmt: skip
ALL = (*TOPICS, *SECRETS, *WORKLOADS)
