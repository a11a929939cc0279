import pytest

from provision import pulling
from provision.backing import IMAGES, NODE
from provision.loading import missing_images, qualified
from provision.ours import MEMBERS
from provision.pulling import Puller, host_of, prefixed, remote_names
from provision.release import set_images


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("postgres:15", "docker.io"),
        ("apache/kafka:4.1.1", "docker.io"),
        ("registry.k8s.io/pause:3.10.1", "registry.k8s.io"),
        ("127.0.0.1:5000/apache/kafka:4.1.1", "127.0.0.1:5000"),
        ("localhost/x:1", "localhost"),
    ],
)
def test_registry_of_an_image_name(name: str, host: str) -> None:
    assert host_of(name) == host


def test_a_registry_prefixes_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY", "127.0.0.1:5000/")
    assert prefixed("postgres:15") == "127.0.0.1:5000/postgres:15"
    assert MEMBERS["order"].image().startswith("127.0.0.1:5000/eventpipeline/order:")


def test_without_a_registry_names_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY", raising=False)
    assert prefixed("postgres:15") == "postgres:15"
    assert remote_names(IMAGES["kafka"], "") == ("apache/kafka:4.1.1",)


def test_a_registry_of_ones_own_is_asked_for_the_home_built_node_first() -> None:
    first, second = remote_names(IMAGES[NODE], "127.0.0.1:5000")
    assert first.startswith("127.0.0.1:5000/eventpipeline/backing-node:")
    assert second == f"127.0.0.1:5000/{IMAGES[NODE].upstream}"


def test_a_silent_registry_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def pull(name: str) -> tuple[bool, int, str]:
        asked.append(name)
        return False, 1, "no such host"

    monkeypatch.setattr(pulling, "_run_pull", pull)
    puller = Puller()
    first, second = puller.pull("postgres:15"), puller.pull("traefik:v3.6.1")
    assert asked == ["postgres:15"]
    assert not second.pulled
    assert first.reason == second.reason == "docker.io does not answer (no such host)"


def test_a_registry_that_lacks_one_image_is_asked_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = {"postgres:15": (True, 1, "manifest unknown"), "traefik:v3.6.1": (True, 0, "")}
    monkeypatch.setattr(pulling, "_run_pull", answers.__getitem__)
    puller = Puller()
    assert puller.pull("postgres:15").reason == "docker.io does not have it (manifest unknown)"
    assert puller.pull("traefik:v3.6.1").pulled


def test_the_node_gets_what_it_lacks_or_has_in_another_version() -> None:
    wanted: dict[str, str | None] = {"a:1": "id-a", "b:1": "id-b", "c:1": "id-c"}
    loaded = {"a:1": "id-a", "b:1": "older", "c:1": "id-c"}
    present = {"docker.io/library/a:1", "docker.io/library/b:1"}
    assert missing_images(wanted, loaded, present) == ["b:1", "c:1"]


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("postgres:15", "docker.io/library/postgres:15"),
        ("eventpipeline/order:1", "docker.io/eventpipeline/order:1"),
        ("127.0.0.1:5000/x:1", "127.0.0.1:5000/x:1"),
    ],
)
def test_names_as_containerd_calls_them(name: str, full: str) -> None:
    assert qualified(name) == full


def test_the_example_gets_this_checkouts_images_and_keeps_others() -> None:
    text = "image: eventpipeline/order:old\nimage: eventpipeline/stock:old\nimage: busybox:1\n"
    images = {"order": "127.0.0.1:5000/eventpipeline/order:new"}
    assert set_images(text, images) == (
        "image: 127.0.0.1:5000/eventpipeline/order:new\n"
        "image: eventpipeline/stock:old\nimage: busybox:1\n"
    )
