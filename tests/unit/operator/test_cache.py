"""What is known of children: newer sights win, and a list drops only what it could have shown."""

from eventpipeline_operator.adapters.kube.cache import Cache
from eventpipeline_operator.adapters.kube.facts import Child
from eventpipeline_operator.adapters.kube.resources import Ref
from eventpipeline_operator.api.types import Key

SHOP = Key("team", "shop")
REF = Ref("Deployment", "team", "shop-order")


def build_child(version: int, uid: str = "u", owned: bytes = b"") -> Child:
    return Child(REF, uid, str(version), owned, SHOP, "o", "EventPipeline shop")


def test_an_older_sight_changes_nothing() -> None:
    woken: list[Key] = []
    cache = Cache(woken.append)
    cache.put(build_child(7, owned=b"new"))
    cache.put(build_child(6, owned=b"old"))
    assert cache.get(REF) == build_child(7, owned=b"new")
    assert woken == [SHOP]


def test_what_a_list_no_longer_shows_is_gone() -> None:
    cache = Cache(lambda _: None)
    cache.put(build_child(7))
    cache.retain("Deployment", None, set(), "8")
    assert cache.get(REF) is None
    cache.put(build_child(7))  # the late answer to a write
    assert cache.get(REF) is None


def test_what_was_written_after_a_list_was_taken_stays_known() -> None:
    cache = Cache(lambda _: None)
    cache.put(build_child(9))
    cache.retain("Deployment", None, set(), "8")
    assert cache.get(REF) == build_child(9)


def test_a_list_of_one_namespace_says_nothing_about_others() -> None:
    cache = Cache(lambda _: None)
    cache.put(build_child(7))
    cache.retain("Deployment", "another", set(), "8")
    cache.retain("Service", "team", set(), "8")
    assert cache.get(REF)


def test_the_echo_of_a_write_has_been_seen_and_what_came_after_it_has_not() -> None:
    cache = Cache(lambda _: None)
    cache.put(build_child(7))
    assert cache.has_seen(REF, "u", "7")
    assert not cache.has_seen(REF, "u", "8")
    assert not cache.has_seen(REF, "another", "7")
