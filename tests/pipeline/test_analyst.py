"""The analyst beside a shop: costs become revisions by themselves, also late ones, also where two of it run."""

from __future__ import annotations

import json
import signal
import time

from tests.pipeline.history import event, order, person
from tests.pipeline.shop import Shop, at, free_port
from tests.pipeline.test_spend import cost

OFTEN = {"WAFA_ANALYST_CHANNEL_COSTS_SECONDS": "1"}


def test_what_channels_cost_reaches_who_was_won_by_itself_also_with_two_analysts(shop: Shop) -> None:
    shop.start()
    analysts = [shop.start("analyst", **OFTEN) for _ in range(2)]
    shop.publish([*person(0), *person(1)])
    shop.publish(event("TouchRecorded", n, at(0, 13), customer_id=f"c{n}", channel="search") for n in range(2))
    shop.publish([order(number, number, 1, 10_000) for number in range(2)])
    for told, spent in ((cost("first", 1_000), 1_000), (cost("late", 500), 1_500), (cost("back", -100), 1_400)):
        shop.publish([told, told])
        shop.wait_until_done()
        shop.wait(lambda spent=spent: spent_by_books(shop) == spent, f"{spent} is spread")
    shop.publish([cost("print", 9, channel="print")])
    shop.wait(
        lambda: all(each.metric('wafa_channel_months_odd{reason="nobody_won"}') == 1 for each in analysts), "named"
    )
    for each in analysts:
        assert each.metric("wafa_channel_months ") == 2
        assert each.get("/readyz")[0] == each.get("/livez")[0] == each.get("/startupz")[0] == 200
        assert each.metric('wafa_analyst_runs_total{outcome="failed",type="channel_costs"}') == 0
        begun = time.monotonic()
        assert each.end(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 10
        assert "Traceback" not in each.log()
    shop.wait_until_done()
    revisions = [json.loads(value) for key, value in shop.log()[0] if b'"ChannelCostRevised"' in value]
    of_search = [each for each in revisions if each["channel"] == "search"]
    assert [each["spend_minor"] for each in of_search] == sorted(
        (each["spend_minor"] for each in of_search), key=[0, 1_000, 1_500, 1_400].index
    ), "no revision goes back to an older sum"
    shop.check_against_core()


def spent_by_books(shop: Shop) -> int:
    """What customers bear of the channels' spend; the books add up at any moment."""
    books = json.loads(shop.wafa("books", "--json").stdout)
    assert books["adds_up"]
    return int(books["parts"]["channel_cost_minor"])


def test_while_kafka_is_away_it_says_so_and_waits_for_its_next_turn(shop: Shop) -> None:
    done = shop.wafa("analyst", "--once")
    assert done.returncode == 0, done.stderr
    away = f"127.0.0.1:{free_port()}"
    analyst = shop.start("analyst", WAFA_KAFKA_BOOTSTRAP_SERVERS=away, **OFTEN)
    shop.wait(lambda: analyst.get("/readyz")[0] == 503, "it says that it could not")
    assert "BrokerUnreachable" in analyst.reasons("/readyz")[0]
    failed = 'wafa_analyst_runs_total{outcome="failed",type="channel_costs"}'
    # Each of three jobs asks Kafka for 10 s a turn: the second turn of the first is over after 40 s at the earliest.
    shop.wait(lambda: analyst.metric(failed) >= 2, "it tried again", 2 * 3 * 10 + 60)
    assert analyst.get("/livez")[0] == 200
    assert analyst.end() == 0
