"""What the platform chart makes of Vault: logins, kv, leased database users, unsealing."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import hvac
import psycopg2
import pytest

from charts.platform_chart import PlatformChart, load_script
from charts.platform_servers import CREDENTIALS, LocalVault, PreparedPostgres
from servers.local import find_artifact, stop_process
from servers.waiting import wait_for

OWNER_OF = "SELECT tableowner FROM pg_tables WHERE tablename = %s"


class MemoryKeyStore:
    """Stands for the Secret."""

    def __init__(self) -> None:
        self.keys: Any = None

    def load(self) -> Any:
        return self.keys

    def save(self, keys: Any) -> None:
        self.keys = keys or self.keys


@pytest.fixture(scope="module")
def vault_server(
    platform_chart: PlatformChart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalVault]:
    artifact = find_artifact("vault")
    if isinstance(artifact, str):
        pytest.skip(artifact)
    config = platform_chart.find("ConfigMap", "vault")["data"]["vault.hcl"]
    server = LocalVault(artifact, tmp_path_factory.mktemp("vault"), config)
    yield server
    stop_process(server.process)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("vault", "bootstrap_vault")


@pytest.fixture(scope="module")
def store() -> MemoryKeyStore:
    return MemoryKeyStore()


@pytest.fixture(scope="module")
def vault(
    platform_chart: PlatformChart,
    vault_server: LocalVault,
    platform_postgres: PreparedPostgres,
    script: ModuleType,
    store: MemoryKeyStore,
) -> Any:
    """A client with the root token, after two runs of the bootstrap script."""
    config = json.loads(
        platform_chart.find("ConfigMap", "vault-bootstrap")["data"]["bootstrap.json"]
    )
    # Outside a pod there is no CA of the cluster to be found.
    config["cluster"]["disable_local_ca_jwt"] = True
    config["postgres"]["host"] = f"127.0.0.1:{platform_postgres.port}"
    inputs = script.Inputs(
        config=config,
        kv={"DB_USERNAME": "shop", "EMAIL_PASSWORD": "generated"},
        postgres={"username": "vault", "password": CREDENTIALS["VAULT_PASSWORD"]},
        checksums={
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in vault_server.plugins.iterdir()
        },
    )
    client = hvac.Client(url=vault_server.address)
    for _ in range(2):
        wait_for(
            "Vault is configured",
            lambda: script.bootstrap(client, store, inputs) is None,
        )
    return client


def test_running_twice_writes_the_kv_secret_once(vault: Any) -> None:
    secret = vault.read("kv/data/shop")["data"]
    assert secret["data"] == {"DB_USERNAME": "shop", "EMAIL_PASSWORD": "generated"}
    assert secret["metadata"]["version"] == 1


def test_keys_that_somebody_added_stay(vault: Any, script: ModuleType) -> None:
    vault.write_data("kv/data/other", data={"data": {"MINE": "kept", "DB_USERNAME": "old"}})
    script.configure_kv(vault, {"mount": "kv", "path": "other"}, {"DB_USERNAME": "shop"})
    assert vault.read("kv/data/other")["data"]["data"] == {"MINE": "kept", "DB_USERNAME": "shop"}


def test_login_role_is_bound_to_the_pipeline_and_its_audience(vault: Any) -> None:
    role = vault.read("auth/kubernetes/role/shop")["data"]
    assert role["bound_service_account_names"] == ["shop-vault"]
    assert role["bound_service_account_namespaces"] == ["shop"]
    assert role["audience"] == "vault"


def test_policy_reads_its_own_and_nothing_else(vault: Any, vault_server: LocalVault) -> None:
    token = vault.auth.token.create(policies=["shop"])["auth"]["client_token"]
    client = hvac.Client(url=vault_server.address, token=token)
    assert client.read("kv/data/shop")
    for path in ("kv/data/another", "auth/kubernetes/role/shop", "database/config/order"):
        with pytest.raises(hvac.exceptions.Forbidden):
            client.read(path)


@pytest.mark.parametrize("role", ["order", "stock", "email"])
def test_leased_users_log_in_to_their_database_alone(
    vault: Any, platform_postgres: PreparedPostgres, role: str
) -> None:
    database = "orders" if role == "order" else role
    user = vault.read(f"database/creds/{role}")["data"]
    platform_postgres.connect(database, user["username"], user["password"]).close()
    other = "stock" if role == "email" else "email"
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        platform_postgres.connect(other, user["username"], user["password"])


def leased(vault: Any, postgres: PreparedPostgres, role: str) -> Any:
    """A connection of a user that Vault makes for it."""
    user = vault.read(f"database/creds/{role}")["data"]
    return closing(postgres.connect("orders", user["username"], user["password"]))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "ALTER TABLE orders ADD COLUMN mine int",
        "DROP TABLE orders",
        "TRUNCATE orders",
        "SET ROLE orders_owner",
        "CREATE ROLE other",
    ],
)
def test_leased_user_changes_no_schema(
    vault: Any, platform_postgres: PreparedPostgres, statement: str
) -> None:
    with (
        leased(vault, platform_postgres, "order") as connection,
        pytest.raises(psycopg2.Error, match=r"permission denied|must be owner"),
    ):
        platform_postgres.query(connection, statement)


def test_leased_user_works_with_tables_that_an_owner_makes_before_and_after_it(
    vault: Any, platform_postgres: PreparedPostgres
) -> None:
    ask = platform_postgres.query
    with (
        leased(vault, platform_postgres, "order") as earlier,
        leased(vault, platform_postgres, "order-owner") as owner,
        leased(vault, platform_postgres, "order") as later,
    ):
        columns = "id bigserial, other bigint GENERATED ALWAYS AS IDENTITY, note text"
        ask(owner, f"CREATE TABLE numbered ({columns})")
        for user in (earlier, later):
            ask(user, "INSERT INTO numbered (note) VALUES ('one')")
            ask(user, "UPDATE numbered SET note = 'two'")
        assert ask(later, "SELECT id FROM numbered ORDER BY id") == [1, 2]
        ask(earlier, "DELETE FROM numbered")
        assert ask(later, "SELECT count(*) FROM numbered") == [0]


def test_leased_users_ring_for_each_other(vault: Any, platform_postgres: PreparedPostgres) -> None:
    with (
        leased(vault, platform_postgres, "order") as relay,
        leased(vault, platform_postgres, "order") as service,
    ):
        platform_postgres.query(relay, "LISTEN outbox")
        platform_postgres.query(service, "NOTIFY outbox")

        def rung() -> Any:
            relay.poll()
            return relay.notifies

        wait_for("the notification", rung)


def test_what_a_leased_owner_makes_belongs_to_the_role_that_stays(
    vault: Any, platform_postgres: PreparedPostgres
) -> None:
    answer = vault.read("database/creds/order-owner")
    user = answer["data"]
    with closing(
        platform_postgres.connect("orders", user["username"], user["password"])
    ) as connection:
        platform_postgres.query(connection, "CREATE TABLE later (id int)")
    vault.sys.revoke_lease(answer["lease_id"])
    with closing(platform_postgres.connect("orders")) as connection:
        assert platform_postgres.query(connection, OWNER_OF, "later") == ["orders_owner"]
        assert platform_postgres.query(connection, "SELECT count(*) FROM later") == [0]


def test_a_revoked_user_is_gone_with_its_sessions(
    vault: Any, platform_postgres: PreparedPostgres
) -> None:
    answer = vault.read("database/creds/order")
    user = answer["data"]
    connection = platform_postgres.connect("orders", user["username"], user["password"])
    vault.sys.revoke_lease(answer["lease_id"])
    with pytest.raises(psycopg2.OperationalError, match=r"terminating|closed the connection"):
        platform_postgres.query(connection, "SELECT 1")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        platform_postgres.connect("orders", user["username"], user["password"])


def test_keys_that_are_lost_are_no_reason_to_wait(
    vault: Any, vault_server: LocalVault, script: ModuleType
) -> None:
    assert vault.sys.is_initialized()
    with pytest.raises(script.KeysLostError, match="delete the PersistentVolumeClaim"):
        script.attempt_until_done(
            lambda: script.open_vault(hvac.Client(url=vault_server.address), MemoryKeyStore()),
            float("inf"),
        )


def test_a_restarted_vault_is_unsealed_with_everything_it_held(
    vault: Any, vault_server: LocalVault, store: MemoryKeyStore, tmp_path: Path
) -> None:
    unsealer = load_script("vault", "unseal_vault")
    key_file = tmp_path / "unseal-key"
    stop_process(vault_server.process)
    vault_server.start()

    before = unsealer.unseal_if_sealed(vault_server.address, key_file)
    key_file.write_text(store.keys.unseal_key)
    after = unsealer.unseal_if_sealed(vault_server.address, key_file)

    assert before == "sealed, and the key has not arrived yet"
    assert after == "unsealed"
    wait_for("Vault is active", lambda: vault.read("kv/data/shop") is not None)
    wait_for("database roles work", lambda: vault.read("database/creds/order") is not None)


class FakeSecrets:
    """CoreV1Api as far as the key store goes, with the API server's answers."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error
        self.secrets: dict[tuple[str, str], Any] = {}

    def read_namespaced_secret(self, name: str, namespace: str) -> Any:
        if (namespace, name) not in self.secrets:
            raise self._error(404)
        data = {
            key: base64.b64encode(value.encode()).decode()
            for key, value in self.secrets[namespace, name]["stringData"].items()
        }
        return type("Secret", (), {"data": data})

    def create_namespaced_secret(self, namespace: str, body: Any) -> None:
        if (namespace, body["metadata"]["name"]) in self.secrets:
            raise self._error(409)
        self.secrets[namespace, body["metadata"]["name"]] = body

    def replace_namespaced_secret(self, name: str, namespace: str, body: Any) -> None:
        self.secrets[namespace, name] = body


@pytest.fixture
def secrets(script: ModuleType) -> FakeSecrets:
    return FakeSecrets(script.kubernetes_client.ApiException)


def test_keys_come_back_from_the_secret(script: ModuleType, secrets: FakeSecrets) -> None:
    store = script.SecretKeyStore(secrets, "platform")
    keys = script.Keys(unseal_key="key", root_token="token")
    assert store.load() is None
    store.save(None)
    assert store.load() is None
    store.save(keys)
    assert store.load() == keys


def test_keys_that_are_stored_survive_a_check_that_storing_works(
    script: ModuleType, secrets: FakeSecrets
) -> None:
    store = script.SecretKeyStore(secrets, "platform")
    keys = script.Keys(unseal_key="key", root_token="token")
    store.save(keys)
    store.save(None)
    assert store.load() == keys


def test_the_secret_says_that_it_is_for_demos_only(
    script: ModuleType, secrets: FakeSecrets
) -> None:
    script.SecretKeyStore(secrets, "platform").save(None)
    metadata = secrets.secrets["platform", "vault-demo-keys"]["metadata"]
    assert metadata["annotations"]["eventpipeline.dev/demo-only"] == "true"
