"""The platform's pgAdmin: off unless asked for; one login, and the platform's server behind it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from charts.platform_chart import ChartError, Manifest, PlatformChart, list_names, list_pods
from charts.platform_servers import CREDENTIALS, PreparedPostgres
from servers.local import answers, find_artifact, free_port, stop_process
from servers.waiting import wait_for

LOGIN = {"PGADMIN_SETUP_EMAIL": "admin@example.com", "PGADMIN_SETUP_PASSWORD": "correct horse"}


@pytest.fixture(scope="module")
def wished(platform_chart: PlatformChart) -> list[Manifest]:
    return platform_chart.render(pgadmin__enabled=True)


@pytest.fixture(scope="module")
def pod(wished: list[Manifest]) -> Manifest:
    return list_pods(wished)["pgadmin"]


def test_it_comes_when_it_is_asked_for(
    platform_chart: PlatformChart, wished: list[Manifest]
) -> None:
    assert list_names(wished) - list_names(platform_chart.render()) == {
        "ConfigMap/pgadmin",
        "Deployment/pgadmin",
        "Ingress/pgadmin",
        "Secret/pgadmin",
        "Service/pgadmin",
    }


def test_without_ingresses_it_has_none(platform_chart: PlatformChart) -> None:
    names = list_names(platform_chart.render(pgadmin__enabled=True, ingress__enabled=False))
    assert "Deployment/pgadmin" in names
    assert "Ingress/pgadmin" not in names


def test_its_page_has_a_host_of_its_own(wished: list[Manifest]) -> None:
    (ingress,) = (m for m in wished if m["kind"] == "Ingress" and "pgadmin" in str(m["metadata"]))
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "pgadmin.localhost"
    assert rule["http"]["paths"][0]["backend"]["service"]["name"] == "pgadmin"


def test_its_service_and_its_probes_find_it(wished: list[Manifest], pod: Manifest) -> None:
    (service,) = (m["spec"] for m in wished if list_names([m]) == {"Service/pgadmin"})
    (deployment,) = (m["spec"] for m in wished if list_names([m]) == {"Deployment/pgadmin"})
    (container,) = pod["containers"]
    (port,) = container["ports"]
    assert service["selector"].items() <= deployment["template"]["metadata"]["labels"].items()
    assert {p["targetPort"] for p in service["ports"]} == {port["name"]}
    for probe in ("startupProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"port": port["name"], "path": "/misc/ping"}


def test_it_is_as_restricted_as_the_others(pod: Manifest) -> None:
    assert "initContainers" not in pod
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_its_passwords_come_from_secrets_and_from_nowhere_else(
    wished: list[Manifest], pod: Manifest
) -> None:
    sources = {e["name"]: e.get("valueFrom") for e in pod["containers"][0]["env"]}
    for name, secret, key in (
        ("PGADMIN_SETUP_PASSWORD", "pgadmin", "password"),
        ("DATABASE_PASSWORD", "postgres", "application-password"),
    ):
        assert sources[name] == {"secretKeyRef": {"name": secret, "key": key}}
    (config,) = (m["data"] for m in wished if list_names([m]) == {"ConfigMap/pgadmin"})
    (server,) = json.loads(config["servers.json"])["Servers"].values()
    assert "password" not in str(server).lower()


def test_without_the_platforms_postgres_it_knows_no_server(platform_chart: PlatformChart) -> None:
    values = {"pgadmin__enabled": True, "postgres__enabled": False}
    assert "servers.json" not in platform_chart.find("ConfigMap", "pgadmin", **values)["data"]
    pod = list_pods(platform_chart.render(**values))["pgadmin"]
    assert not {e["name"] for e in pod["containers"][0]["env"] if "DATABASE" in e["name"]}


@pytest.mark.parametrize("email", ["admin", "admin@localhost", "a b@example.com", "a'@example.com"])
def test_a_login_that_is_no_address_is_refused(platform_chart: PlatformChart, email: str) -> None:
    with pytest.raises(ChartError, match="/pgadmin/email"):
        platform_chart.render(pgadmin__enabled=True, pgadmin__email=email)


class PgAdminPage:
    """One visitor of a pgAdmin."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._session = requests.Session()

    def log_in(self, password: str) -> str:
        """Sends the login form; answers where it leads to."""
        form = self._session.get(f"{self._address}/login", timeout=30).text
        token = re.search(r'"csrfToken": "([^"]+)"', form)
        assert token
        self._session.headers["X-pgA-CSRFToken"] = token[1]
        fields = {"email": LOGIN["PGADMIN_SETUP_EMAIL"], "password": password}
        answer = self._session.post(
            f"{self._address}/authenticate/login",
            data={**fields, "csrf_token": token[1], "internal_button": "Login"},
            allow_redirects=False,
            timeout=30,
        )
        return answer.headers.get("Location", "")

    def ask(self, method: str, path: str) -> Any:
        """What its page asks."""
        answer = self._session.request(method, self._address + path, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def address(
    platform_chart: PlatformChart,
    platform_postgres: PreparedPostgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """pgAdmin as the chart starts it; only paths and addresses are replaced by the test's."""
    artifact = find_artifact("pgadmin")
    if isinstance(artifact, str):
        pytest.skip(artifact)
    if sys.version_info[:2] != (3, 11):
        pytest.skip("its packages are built for Python 3.11, which its image has")
    directory, port = tmp_path_factory.mktemp("pgadmin"), free_port()
    places = {
        "/venv/bin/python3": sys.executable,
        "cd /pgadmin4": f"cd {artifact / 'pgadmin4'}",
        '"/data/': f'"{directory}/',
        "=/data/": f"={directory}/",
        "/config/": f"{directory}/",
        "/tmp/": f"{directory}/",  # noqa: S108 — the container's
        "0.0.0.0:8080": f"127.0.0.1:{port}",
        '"postgres:5432': f'"127.0.0.1:{platform_postgres.port}',
        '"Host": "postgres"': '"Host": "127.0.0.1"',
        '"Port": 5432': f'"Port": {platform_postgres.port}',
    }
    files = platform_chart.find("ConfigMap", "pgadmin", pgadmin__enabled=True)["data"]
    for name, text in files.items():
        own = re.sub("|".join(map(re.escape, places)), lambda found: places[found[0]], text)
        (directory / name).write_text(own)
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen(
            ["sh", directory / "start.sh"],
            env=_environment(directory, artifact),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(f"pgAdmin ({directory}/log)", lambda: answers(port), seconds=180)
        yield f"http://127.0.0.1:{port}"
    finally:
        stop_process(server)


def _environment(directory: Path, artifact: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PYTHONPATH": f"{directory}:{artifact / 'site-packages'}",
        "PYTHONPYCACHEPREFIX": str(directory / "bytecode"),
        "DATABASE_USERNAME": CREDENTIALS["APPLICATION_USERNAME"],
        "DATABASE_PASSWORD": CREDENTIALS["APPLICATION_PASSWORD"],
        **LOGIN,
    }


def test_only_the_password_of_the_secret_opens_it(address: str) -> None:
    page = PgAdminPage(address)
    assert "/browser" not in page.log_in("another one")
    assert page.log_in(LOGIN["PGADMIN_SETUP_PASSWORD"]).endswith("/browser/")


def test_who_is_in_sees_the_databases_without_another_password(address: str) -> None:
    page = PgAdminPage(address)
    page.log_in(LOGIN["PGADMIN_SETUP_PASSWORD"])
    (server,) = page.ask("GET", "/browser/server/nodes/1/")["result"]
    assert server["label"] == "platform"
    connection = page.ask("POST", f"/browser/server/connect/1/{server['_id']}")["data"]
    assert connection["user"]["name"] == "shop"
    databases = page.ask("GET", f"/browser/database/nodes/1/{server['_id']}/")["data"]
    assert {"orders", "stock", "email"} <= {each["label"] for each in databases}
