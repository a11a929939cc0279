"""Reasons of conditions and events: one vocabulary for both."""

from enum import StrEnum


class Reason(StrEnum):
    """PascalCase reasons; the value is what users see."""

    SUCCEEDED = "Succeeded"
    PROGRESSING = "Progressing"
    SUSPENDED = "Suspended"
    INVALID_SPEC = "InvalidSpec"
    KUBERNETES_UNAVAILABLE = "KubernetesUnavailable"

    TOPICS_IN_SYNC = "TopicsInSync"
    KAFKA_UNAVAILABLE = "KafkaUnavailable"
    KAFKA_DENIED = "KafkaDenied"
    KAFKA_SECRET_MISSING = "KafkaSecretMissing"  # noqa: S105 - a reason, not a password
    TOPIC_REFUSED = "TopicRefused"
    TOPIC_NAME_DENIED = "TopicNameDenied"
    TOPIC_CONFLICT = "TopicConflict"
    PARTITION_DECREASE = "PartitionDecreaseRefused"
    REPLICATION_DIFFERS = "ReplicationFactorDiffers"
    EXTERNAL_TOPIC_MISSING = "ExternalTopicMissing"
    EXTERNAL_TOPIC_DENIED = "ExternalTopicDenied"
    TOPICS_LEFT_BEHIND = "TopicsLeftBehind"

    USERS_IN_SYNC = "UsersInSync"
    USERS_NOT_SUPPORTED = "KafkaUsersNotSupported"
    USER_REFUSED = "KafkaUserRefused"
    AUTHORIZER_MISSING = "KafkaAuthorizerMissing"
    GROUP_NAME_DENIED = "ConsumerGroupDenied"
    USERS_LEFT_BEHIND = "KafkaUsersLeftBehind"

    SECRETS_IN_SYNC = "SecretsInSync"
    VAULT_UNAVAILABLE = "VaultUnavailable"
    VAULT_SEALED = "VaultSealed"
    VAULT_LOGIN_DENIED = "VaultLoginDenied"
    VAULT_READ_DENIED = "VaultReadDenied"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a password
    CREDENTIALS_REFUSED = "CredentialsRefused"
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105 - a reason, not a password
    SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing"

    WORKLOADS_AVAILABLE = "WorkloadsAvailable"
    WAITING_FOR_TOPICS = "WaitingForTopics"
    WAITING_FOR_USERS = "WaitingForUsers"
    WAITING_FOR_SECRETS = "WaitingForSecrets"
    MIGRATION_RUNNING = "MigrationRunning"
    MIGRATION_FAILED = "MigrationFailed"
    ROLLING_OUT = "RollingOut"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONTAINER_CRASHING = "ContainerCrashing"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    POD_UNSCHEDULABLE = "PodUnschedulable"
    PODS_REFUSED = "PodsRefused"
    ROLLOUT_STUCK = "RolloutStuck"
    ROUTE_NOT_SUPPORTED = "RouteFeatureNotSupported"
    OBJECT_CONFLICT = "ObjectConflict"
    OBJECT_REFUSED = "ObjectRefused"


PROGRESS = frozenset(
    {
        Reason.PROGRESSING,
        Reason.WAITING_FOR_TOPICS,
        Reason.WAITING_FOR_USERS,
        Reason.WAITING_FOR_SECRETS,
        Reason.MIGRATION_RUNNING,
        Reason.ROLLING_OUT,
    }
)
"""Reasons that tell of work under way: no warning is due."""
