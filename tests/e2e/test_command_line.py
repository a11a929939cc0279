"""`eventpipeline logs` with a real kubelet behind it."""

import pytest

from e2e.conftest import KUBECONFIG, Cluster
from servers.command_line import CommandLine


@pytest.fixture
def command_line(cluster: Cluster) -> CommandLine:
    assert cluster  # refuses a context that is not a kind cluster's
    return CommandLine(KUBECONFIG, "shop")


def test_the_log_of_a_service_is_that_of_all_its_pods_in_the_order_of_time(
    command_line: CommandLine,
) -> None:
    done = command_line.run("logs", "shop", "order", "--timestamps", "--tail", "20")
    assert done.returncode == 0, done.stderr
    pods, times, texts = zip(
        *(line.split(" ", 2) for line in done.stdout.splitlines()), strict=True
    )
    assert len(set(pods)) > 1
    assert all(pod.startswith("shop-order-") for pod in pods)
    assert list(times) == sorted(times)
    assert any('"consumer.assigned"' in text for text in texts)
