import json
from collections import Counter

from eventbench.mix import lookup_mix, order_mix, stock_mix, zipf_picks


def test_a_zipf_mix_orders_the_first_product_twice_as_often_as_the_second() -> None:
    counted = Counter(zipf_picks(1000, 1.0, seed=1))
    assert 1.7 < counted[0] / counted[1] < 2.3
    assert counted[0] > 50 * counted[500]


def test_the_same_seed_gives_the_same_mix() -> None:
    assert zipf_picks(100, 1.0, seed=3) == zipf_picks(100, 1.0, seed=3)


def test_one_product_is_the_hot_product() -> None:
    mix = order_mix("shop.localhost", 1, 1.0)
    assert {mix.request(number) for number in range(1000)} == {mix.requests[0]}


def test_an_order_is_a_complete_request_with_the_members_of_the_api() -> None:
    head, _, body = order_mix("shop.localhost", 1, 1.0).request(0).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/order HTTP/1.1\r\nHost: shop.localhost\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert set(json.loads(body)) == {"product", "quantity", "customerEmail"}


def test_stock_is_added_once_to_each_product() -> None:
    mix = stock_mix("localhost", 50, 7)
    bodies = [json.loads(mix.request(n).partition(b"\r\n\r\n")[2]) for n in range(50)]
    assert len({body["product"] for body in bodies}) == 50
    assert {body["quantity"] for body in bodies} == {7}


def test_orders_are_looked_up_one_after_the_other() -> None:
    mix = lookup_mix("localhost", ["a", "b"])
    assert b"/api/v1/order/b HTTP/1.1" in mix.request(1)
