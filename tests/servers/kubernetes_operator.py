"""The operator as a process of its own against a test's API server, with the chart's rights."""

import os
import re
import subprocess
import sys
import urllib.request
from collections import defaultdict
from pathlib import Path

from servers.kubernetes import OPERATOR_NAMESPACE, OPERATOR_TOKEN, KubernetesServer
from servers.local import free_port, stop_process
from servers.waiting import wait_for


class OperatorProcess:
    """Starts, kills and asks one operator."""

    def __init__(
        self,
        kubernetes: KubernetesServer,
        directory: Path,
        name: str = "first",
        token: str = OPERATOR_TOKEN,
        module: str = "eventpipeline_operator",
    ) -> None:
        self._module = module
        self._kubeconfig = kubernetes.write_kubeconfig(directory / f"kubeconfig-{name}", token)
        self._name = name
        self._log = directory / f"operator-{name}.log"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **variables: str) -> None:
        """Starts it, unless it runs; it leads as soon as the Lease is free."""
        if self._process:
            return
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("KUBERNETES_")},
            "KUBECONFIG": str(self._kubeconfig),
            "OPERATOR_NAMESPACE": OPERATOR_NAMESPACE,
            "POD_NAME": self._name,
            "METRICS_PORT": str(self._port),
            "RESYNC_SECONDS": "5",
            **variables,
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def wait_until_leading(self) -> None:
        """Waits until it holds the Lease and knows all children."""
        # Its start is mostly imports: on a machine that is busy otherwise they take their time.
        wait_for(
            f"the operator ({self._log})", lambda: self.metric("objects") is not None, seconds=120
        )
        wait_for(f"the Lease ({self._log})", lambda: self.metric("leader") == 1.0, seconds=60)

    def stop(self, *, kill: bool = False) -> None:
        """Stops it as Kubernetes would, or as a power cut would."""
        if self._process is None:
            return
        if kill:
            self._process.kill()
            self._process.wait()
        else:
            stop_process(self._process, seconds=30)
        self._process = None

    @property
    def pid(self) -> int | None:
        """Its process, None while it is stopped."""
        return self._process.pid if self._process else None

    @property
    def metrics_url(self) -> str:
        """Where Prometheus would ask."""
        return f"http://127.0.0.1:{self._port}/metrics"

    @property
    def log(self) -> str:
        """Everything that it said."""
        return self._log.read_text()

    def metric(self, name: str, **labels: str) -> float | None:
        """The sum of a metric's samples with these labels; None when there is none."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        found = [
            value
            for sample, value in self._samples(name)
            if all(label in sample for label in wanted)
        ]
        return sum(found) if found else None

    def writes(self) -> dict[str, float]:
        """Writes to Kubernetes so far by kind, without the leader's Lease and token requests."""
        sums: defaultdict[str, float] = defaultdict(float)
        for labels, value in self._samples("kubernetes_writes_total"):
            kind = re.search(r'kind="(\w+)"', labels)
            sums[kind[1] if kind else labels] += value
        return {kind: n for kind, n in sums.items() if n and kind not in ("Lease", "TokenRequest")}

    def _samples(self, name: str) -> list[tuple[str, float]]:
        with urllib.request.urlopen(self.metrics_url, timeout=2) as answer:  # noqa: S310 - ours
            lines = answer.read().decode().splitlines()
        return [
            (line[: line.rindex(" ")], float(line.rsplit(" ", 1)[1]))
            for line in lines
            if line.startswith((f"eventpipeline_{name} ", f"eventpipeline_{name}{{"))
        ]
