"""What friends bring reaches who sent them through the real log: once, over partitions, and over a killed worker."""

from __future__ import annotations

import json

from pipeline.core.codec import unpack
from pipeline.core.policy import DEFAULT
from pipeline.inquiry import customer_document, customer_ids
from tests.pipeline.history import event, order, person
from tests.pipeline.shop import Shop, at

CHAIN = 6
ORDERS = 25
MARGIN = DEFAULT.value.margin_permille * 1_000 // 1000


def test_what_friends_bring_is_credited_once_through_three_steps_and_over_a_kill(shop: Shop) -> None:
    worker = shop.start(WAFA_WORKER_BATCH_RECORDS_MAX="20")
    shop.publish([each for number in range(CHAIN) for each in person(number)])
    shop.wait_until_done()
    ids = [customer_ids(shop.settings, f"c{number}")[0].encode() for number in range(CHAIN)]
    shop.publish(
        event("ReferralMade", number, at(1), customer_id=f"c{number}", referral_id=f"f{number}",
              referred_customer_id=f"c{number + 1}")
        for number in range(CHAIN - 1)
    )  # fmt: skip
    orders = [order(f"{number}-{day}", number, day, 1_000) for day in range(2, 2 + ORDERS) for number in range(CHAIN)]
    shop.publish(orders[: len(orders) // 2])
    worker.kill()
    shop.publish(orders[len(orders) // 2 :])
    shop.start()
    shop.publish(orders[:20])  # said twice
    shop.wait_until_done()
    brought = ORDERS * MARGIN

    def sums() -> list[tuple[int, ...]]:
        state = shop.state()
        return [unpack(state[each]).credited_minor for each in ids]

    below = [min(3, CHAIN - 1 - number) for number in range(CHAIN)]
    expected = [(*[brought] * steps, *[0] * (3 - steps)) if steps else () for steps in below]
    shop.wait(lambda: sums() == expected, "every amount has come through three steps")
    shop.wait_until_done()
    assert sums() == expected
    shop.check_against_core()
    assert shop.dead_letters() == []
    entries = customer_document(shop.settings, ids[0].decode())["value_entries"]
    referred = [entry["amount_minor"] for entry in entries if entry["part"] == "referral_value_minor"]
    books = shop.wafa("books", "--json")
    assert books.returncode == 0, books.stderr
    report = json.loads(books.stdout)
    assert report["adds_up"]
    net = CHAIN * ORDERS * 1_000
    assert report["lines"][0] == {
        "name": "net revenue", "customers_minor": net, "books_minor": net, "difference_minor": 0,
    }  # fmt: skip
    assert (report["customers"], report["value_to_date_minor"]) == (CHAIN, CHAIN * brought), "without referral value"
    assert sum(referred) == round(brought * (0.1 + 0.01 + 0.001))
