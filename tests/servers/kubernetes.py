"""A real etcd and kube-apiserver on 127.0.0.1: no kubelet, no controllers, so nothing runs.

Objects are stored, defaulted, validated and watched as in a cluster; a test that wants a pod or a
finished Job writes that status itself.
"""

import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from servers.local import REPOSITORY, find_artifact, free_port, stop_process
from servers.waiting import wait_for

TOKEN = "token-of-the-test"
OPERATOR_TOKEN = "token-of-the-operator"
ISSUER = "https://test.invalid"
OPERATOR_CHART = REPOSITORY / "charts" / "eventpipeline"
OPERATOR_NAMESPACE = "eventpipeline-system"
OPERATOR = f"system:serviceaccount:{OPERATOR_NAMESPACE}:eventpipeline-operator"
CONFINED_TOKEN = "token-of-an-operator-for-some-namespaces"
CONFINED_NAMESPACE = "confined-system"
CONFINED = f"system:serviceaccount:{CONFINED_NAMESPACE}:eventpipeline-operator"
USERS = f"""{TOKEN},admin,admin,"system:masters"
{OPERATOR_TOKEN},{OPERATOR},operator,"system:serviceaccounts"
{CONFINED_TOKEN},{CONFINED},confined,"system:serviceaccounts"
"""
AUDIT = f"""apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {{level: Metadata, users: ["{OPERATOR}", "{CONFINED}"]}}
  - {{level: None}}
"""


class KubernetesServer:
    """One API server with its own etcd; OPERATOR_TOKEN may do what the chart grants."""

    def __init__(self, binaries: Path, directory: Path, *, audited: bool = False) -> None:
        self._binaries = binaries
        self._directory = directory
        self._audited = audited
        self._port = free_port()
        self._etcd_port, self._peer_port = free_port(), free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def authority(self) -> Path:
        """The certificate that it serves with, which signs itself."""
        return self._directory / "certificates" / "apiserver.crt"

    @property
    def issuer_key(self) -> str:
        """What verifies the tokens of ServiceAccounts, as PEM."""
        key = self._directory / "service-accounts.pem"
        command = ["openssl", "pkey", "-in", str(key), "-pubout"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    @property
    def audit_log(self) -> Path:
        """Every request of the operator, a JSON line each, where it is audited."""
        return self._directory / "audit.log"

    def start(self) -> None:
        """Starts etcd and the API server and waits until it is ready."""
        (self._directory / "tokens.csv").write_text(USERS)
        (self._directory / "audit.yaml").write_text(AUDIT)
        self._start_key()
        self._run("etcd", *self._etcd_arguments())
        self._run("kube-apiserver", *self._apiserver_arguments())
        wait_for(f"the API server at {self.url} ({self._directory})", self._ready, seconds=120)

    def stop(self) -> None:
        """Stops both, the API server first."""
        for process in reversed(self._processes):
            stop_process(process)
        self._processes.clear()

    def write_kubeconfig(self, path: Path, token: str = TOKEN) -> Path:
        """A kubeconfig for kubectl (or, with its token, for the operator as a process)."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": self.url,
                        "certificate-authority": str(self.authority),
                    },
                }
            ],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def kubectl(
        self, *arguments: str, stdin: Sequence[object] | str = ""
    ) -> subprocess.CompletedProcess[str]:
        """One kubectl call against this server."""
        kubeconfig = self._directory / "kubeconfig"
        if not kubeconfig.exists():
            self.write_kubeconfig(kubeconfig)
        text = stdin if isinstance(stdin, str) else yaml.safe_dump_all(stdin or [])
        command: list[str | Path] = [
            self._binaries / "kubectl",
            "--kubeconfig",
            kubeconfig,
            "--request-timeout=60s",
        ]
        command += arguments
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)

    @contextmanager
    def controllers(self, *names: str) -> Iterator[None]:
        """Lets some of the cluster's own controllers work for a while."""
        kubeconfig = self.write_kubeconfig(self._directory / "kubeconfig-controllers")
        arguments = (
            f"--kubeconfig={kubeconfig}", f"--controllers={','.join(names)}",
            "--leader-elect=false", f"--secure-port={free_port()}", "--bind-address=127.0.0.1",
            f"--cert-dir={self._directory / 'controllers'}",
        )  # fmt: skip
        self._run("kube-controller-manager", *arguments)
        process = self._processes.pop()
        try:
            yield
        finally:
            stop_process(process)

    def install(self) -> None:
        """API, admission policy and rights, as the chart renders them."""
        self.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        manifests = [m for m in render_chart() if m["kind"] in INSTALLED]
        done = self.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)
        assert done.returncode == 0, done.stderr
        self.kubectl(
            "wait", "--for=condition=Established", "--timeout=30s",
            "crd/eventpipelines.eventpipeline.dev",
        )  # fmt: skip

    def start_controllers(self, *names: str, calls_per_second: int = 500) -> None:
        """Controllers of the real kube-controller-manager, for example of Deployments."""
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={self.write_kubeconfig(self._directory / 'kubeconfig-controllers')}",
            f"--controllers={','.join(names)}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--kube-api-qps={calls_per_second}",
            f"--kube-api-burst={calls_per_second}",
        )

    def _start_key(self) -> None:
        key = self._directory / "service-accounts.pem"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)

    def _etcd_arguments(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{p}" for p in (self._etcd_port, self._peer_port))
        return [
            f"--data-dir={self._directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ]

    def _apiserver_arguments(self) -> list[str]:
        key = self._directory / "service-accounts.pem"
        return [
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self._directory / 'certificates'}",
            f"--token-auth-file={self._directory / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.97.0.0/16",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--disable-admission-plugins=ServiceAccount",
            # As on OpenShift: who owns an object must be allowed to hold up its deletion.
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            "--watch-cache=true",
            *self._audit_arguments(),
        ]

    def _audit_arguments(self) -> list[str]:
        if not self._audited:
            return []
        policy = self._directory / "audit.yaml"
        return [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}"]

    def _run(self, program: str, *arguments: str) -> None:
        with (self._directory / f"{program}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen([self._binaries / program, *arguments], stdout=log, stderr=log)
            )

    def _ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.authority))
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/readyz", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, context=context, timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)


INSTALLED = frozenset(
    {
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
    }
)


def render_chart(
    *arguments: str, with_tests: bool = False, chart: Path = OPERATOR_CHART
) -> list[dict[str, Any]]:
    """The operator's chart as helm renders it; what `helm test` needs when that is wished."""
    directory = find_artifact("helm")
    helm = directory / "helm" if isinstance(directory, Path) else shutil.which("helm")
    done = subprocess.run(
        [
            str(helm), "template", "eventpipeline", str(chart),
            "--namespace", OPERATOR_NAMESPACE, "--kube-version", "1.34.4",
            *(() if with_tests else ("--skip-tests",)), *arguments,
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]
