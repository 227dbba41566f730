"""Profiles packed by an earlier version are read, and what they had no word of is stated, not guessed in silence."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from pipeline.core import stage as stages
from pipeline.core.buckets import Measure, figures
from pipeline.core.cases import Kind, has_open_complaint
from pipeline.core.codec import _HEADER, VERSION, pack, peek, unpack
from pipeline.core.decisions import Outcome, Reason
from pipeline.core.forecast import history_of
from pipeline.core.ledger import folded_days, purchase_days, totals, worth_of
from pipeline.core.lifecycle import ON_PURCHASE, ON_SILENCE, ON_VOID
from pipeline.core.policy import DEFAULT, Rules
from pipeline.core.profile import Case, Consent, Dealings, Ledger, Needs, Order, Past, Profile, Refund
from pipeline.core.stage import FALL_REASON, REASONS
from pipeline.core.words import CODES_MAX, WORDS, short
from tests.core.builders import seconds

VERSION_1: Final = bytes.fromhex(
    "0169df2f77000200dc0039ce695661c0ce69d64340ce69df2f77000200ce695cf940ad66697273745f636f6e74616374ac626f756768745f"
    "616761696ece69cd08c00000000000000000009e929acf32cd49fa6e231e05ce698b1dc0ce698b1dc0cd07d000ce698b1dc0010000019acf"
    "69d43fd5002e7f3cce69d64340ce69d64340cd03e8ccface69d64340010000019002cd3a98cd09c4cd01f4ce695cf940ce695661c0ce695c"
    "f94092cd4fe6cd4feb0000ce695661c0ce69d643409398cd50470139012401070198cd5047cd03e839cd07d024cd138807cd271092cd4fe3"
    "cd09c4cd5047c4009090000090919ab0666565646261636b5f7265717565737401a144d94f4f72646572436f6d706c657465642039372063"
    "757272656e63793d55534420646973636f756e745f6d696e6f723d323530206f726465725f69643d4420726576656e75655f6d696e6f723d"
    "31303030a473686f70ce69d64340ce69d64340ce69e8b840ce6a10454001908094b0666565646261636b5f72657175657374a468656c64a8"
    "746f6f5f736f6f6ece69d64340c0c09000c0c090c00000000000000000000000a35553440000ffce69e8b840ce17fb4d29"
)
"""As version 1 packed a customer of four orders, at 96 days: A 100.00 (5.00 off, 25.00 refunded) and B 50.00 folded, on
days 0 and 5; C 20.00 of day 40 and D 10.00 (2.50 off) of day 97 not. Day 0 is 2026-01-01, 20,454 days after 1970."""


def test_a_profile_of_version_1_keeps_its_figures_and_takes_the_default_margin() -> None:
    profile = unpack(VERSION_1)
    ledger = profile.ledger
    assert VERSION_1[0] == 1
    assert totals(ledger) == (4, 18_000, 2_500, 750)
    assert folded_days(ledger) == [20_454, 20_459]
    assert purchase_days(ledger, "UTC") == [20_454, 20_459, 20_494, 20_551]
    rate = DEFAULT.value.margin_permille / 1000
    assert [order.margin_minor for order in ledger.orders] == [rate * 2_000, rate * (1_000 + 250)]
    kept = round(500 * 12_500 / 15_000)  # of the folded discounts, the share of the folded revenue that was kept
    assert ledger.folded_margin_minor == round(rate * (12_500 + kept))
    assert worth_of(ledger).discount_minor == kept + 250
    assert (profile.sends_milli, profile.service_time_milli) == (0, 0)


def test_a_need_known_from_before_needs_were_dated_still_counts() -> None:
    """Packed with the fields there were, it has no dealings yet: what it knew of needs and answers stays."""
    told = Profile(first_seen_at=1, as_of=9, identified=1, need_at=3, answered_at=5)
    before = Profile.__struct_fields__.index("dealings")
    fields = msgspec.msgpack.decode(pack(told)[_HEADER.size :])[:before]
    old = unpack(pack(told)[: _HEADER.size] + msgspec.msgpack.encode(fields))
    assert old == told
    assert stages.need_answered_at(old) == 5
    assert stages.is_known(old, 9, DEFAULT)


def test_a_ledger_packed_before_folded_orders_and_payments_were_kept_is_read_without_them() -> None:
    ledger = Ledger(
        orders=(Order(1, 10, revenue_minor=125, known=1, paid_currency="EUR", categories=3),),
        refunds=(Refund(2, 1, 11, 20, 11, None, 35),), folded_orders=4, past=Past(5, 6),
    )  # fmt: skip
    told = Profile(first_seen_at=1, as_of=9, ledger=ledger)
    fields = msgspec.msgpack.decode(pack(told)[_HEADER.size :])
    place = Profile.__struct_fields__.index("ledger")
    orders, refunds, *rest = fields[place][: Ledger.__struct_fields__.index("folded_marks")]
    orders = [each[: Order.__struct_fields__.index("paid_minor")] for each in orders]
    refunds = [each[: Refund.__struct_fields__.index("content")] for each in refunds]
    fields[place] = [orders, refunds, *rest]
    old = pack(told)[: _HEADER.size] + msgspec.msgpack.encode(fields)
    assert len(pack(told)) - len(old) == 2 + 3 + 2, "what is empty takes a byte, and of bytes two"
    assert unpack(old) == told


def test_a_refund_packed_with_a_margin_of_its_own_takes_its_share_of_the_orders() -> None:
    """Of 100.00 with 30.00 margin half went back, in lines worth 27.50 at that day's rates."""
    order, refund = Order(1, 10, revenue_minor=10_000, known=1, margin_minor=3_000), Refund(2, 1, 11, 5_000, 11, 2_750)
    told = Profile(first_seen_at=1, as_of=9, ledger=Ledger(orders=(order,), refunds=(refund,)))
    assert worth_of(unpack(pack(told)).ledger).margin_minor == 1_500


def test_the_lines_of_an_order_and_of_a_refund_are_packed_with_them_and_others_take_no_byte() -> None:
    order = Order(1, 10, revenue_minor=10_000, known=1, content=7)
    refund = Refund(2, 1, 11, 5_000, 11, content=8)
    plain = Profile(first_seen_at=1, as_of=9, ledger=Ledger(orders=(order,), refunds=(refund,)))
    told = replace(
        plain, ledger=Ledger((replace(order, content=(7, 5, 1, 300)),), (replace(refund, content=(8, 5, 1)),))
    )
    assert unpack(pack(told)) == told
    assert (told.ledger.orders[0].kinds, told.ledger.refunds[0].named) == ((5, 1, 300), (5, 1))
    assert (order.kinds, refund.named, order.content_mark, told.ledger.refunds[0].content_mark) == ((), (), 7, 8)
    assert len(pack(told)) - len(pack(plain)) == (1 + 1 + 1 + 3) + (1 + 1 + 1)


def test_what_tells_versions_of_a_second_apart_takes_no_byte_where_dates_are_whole_seconds() -> None:
    order = Order(1, 10, content=77 << 16 | 0xFFFF)
    assert (order.version_milli, order.content_mark) == (77, 0xFFFF)
    refund = Refund(2, 1, 11, 5_000, 11, content=(999 << 16 | 5, 9, 1))
    assert (refund.version_milli, refund.content_mark, refund.named) == (999, 5, (9, 1))
    assert (Order(1, content=8).version_milli, Order(1, content=8).content_mark) == (0, 8)


def test_it_is_packed_again_as_this_version_and_a_glance_is_the_same() -> None:
    again = pack(unpack(VERSION_1))
    assert again[0] == VERSION
    assert unpack(again) == unpack(VERSION_1)
    assert peek(again) == peek(VERSION_1)


def test_well_known_words_are_packed_as_one_character_and_read_as_they_were() -> None:
    """Those of a decision too; a word nobody knows is packed as it is."""
    profile = Profile(
        first_seen_at=1, as_of=2, stage_reason="loyal_over_cycles", lifecycle_reason="silent_since_purchase",
        last_decision=("retention_offer", "withheld", "no_consent", 3), rule_sent_at={"retention_offer": 4, "own": 5},
    )  # fmt: skip
    bare = Profile(first_seen_at=1, as_of=2, stage_reason="", lifecycle_reason="")
    assert unpack(pack(profile)) == profile
    assert b"retention_offer" not in pack(profile)
    assert b"own" in pack(profile)
    assert len(pack(profile)) - len(pack(bare)) == 2 * 1 + 7 + (3 + 4 + 1)


def test_what_was_agreed_to_is_kept_in_short_and_read_in_full_whatever_a_publisher_calls_it() -> None:
    for purpose in ("marketing", "newsletter", "*", "m"):
        for channel in ("email", "carrier pigeon", "*", "x"):
            kept = Consent(short(purpose), short(channel), 1, 5)
            assert (kept.purpose, kept.channel) == (purpose, channel)
    assert len(short("marketing")) == 1


def test_every_reason_and_rule_of_the_tables_is_a_well_known_word() -> None:
    """One that is not would cost its length in every profile: add it to the end of the list."""
    told = {*REASONS.values(), FALL_REASON, ON_VOID[1], *Rules.__struct_fields__, *map(str, Reason), *map(str, Outcome)}
    told |= {reason for table in (ON_PURCHASE, ON_SILENCE) for _, reason in table.values()}
    assert told <= set(WORDS)
    assert len(set(WORDS)) == len(WORDS) <= CODES_MAX
    assert all(len(each) > 1 for each in WORDS), "no word is taken for a code"


def test_what_was_agreed_to_on_every_channel_before_words_were_short_is_still_so() -> None:
    """Version 2 has the words in full, `*` among them."""
    told = Consent("marketing", "*", 0, 5)
    fields = msgspec.msgpack.encode(Profile(first_seen_at=1, as_of=2, consents=(told,)))
    old = unpack(_HEADER.pack(2, 0, 0, 0, 0) + fields)
    assert [(each.purpose, each.channel) for each in old.consents] == [("marketing", "*")]
    assert unpack(pack(old)) == old


def test_folded_days_from_before_it_was_kept_what_they_left_are_taken_to_have_left_as_much_each() -> None:
    """Five orders of 400, folded: the mean of the repeat days is 400."""
    ledger = Ledger(
        folded_orders=5, folded_revenue_minor=5_000, folded_margin_minor=2_000, folded_days=(100, 10, 10, 10, 10),
        folded_first_at=60 * 86_400, folded_last_at=100 * 86_400, first_at=60 * 86_400, last_at=100 * 86_400,
    )  # fmt: skip
    fields = msgspec.msgpack.encode(Profile(first_seen_at=1, as_of=2, ledger=ledger))
    history = history_of(unpack(_HEADER.pack(2, 0, 0, 0, 0) + fields).ledger, "UTC")
    assert history is not None
    assert (history.frequency, history.mean_margin_minor) == (4, 400.0)


VERSION_3: Final = bytes.fromhex(
    "03696633c0000102dc0048ce695661c0ce695f9c4000000100ce6957b340a0a107ce695661c0000001ce695904c00000ce69"
    "5cf940ce695e4ac000dc001491dc0011cf0d44d1cce53e2823ce6957b34000cd0bb800000100ce695cf94001cd04b0000000"
    "a000009000000000000000900000ce6957b340ce6957b34000000000c0c4009a92cd4fe70192cd4fe7cd0bb8909090909090"
    "9092cd4fed01cd4fedc41ebe1a231433164807adfe87cfa579bf503d2349fbc76e2a7b198cf066d71f909195cf32cd49fa6e"
    "231e050102ce695f9c4000010091cf275e43b9fa0c4968919ab0666565646261636b5f7265717565737401a141d93b4f7264"
    "6572436f6d706c6574656420312063757272656e63793d555344206f726465725f69643d4120726576656e75655f6d696e6f"
    "723d33303030a473686f70ce6957b340ce6957b340ce696633c0ce698dc0c001908094a10ea110a116ce6957b340c0c09000"
    "c0c090c00000000000000000000000a12f0000ffce696633c0ce1f82bae3000090a00090909000c0c0dc0015ce695661c000"
    "0000a0000000a000a00092ce01df9100cd1e0090000090900000009a909195cee53e2823ce695a5640ce695cf9400000c092"
    "99cefa0c496802ce695904c0ce695a5640ce695e4ac00100000099ce6e231e0500ce695f9c40000000000000c00090ce6959"
    "04c000000090"
)
"""As version 3 packed a customer who got an order on day 5 that was promised for day 3, had a question answered on day
6 that was promised for day 3, and has had a complaint of severity 2 open since day 7."""


def test_a_profile_of_version_3_has_its_open_tickets_in_its_cases_and_no_bad_deed_as_a_good_one() -> None:
    profile = unpack(VERSION_3)
    assert VERSION_3[0] == 3
    assert (profile.tickets, profile.tickets_let_go) == ((), ())
    question, complaint = profile.dealings.cases
    assert (question.kind, question.solved_at, question.severity) == (Kind.OTHER, seconds(6), 0)
    assert (complaint.kind, complaint.opened_at, complaint.severity) == (Kind.COMPLAINT, seconds(7), 2)
    assert has_open_complaint(profile)
    assert (profile.sales_at, profile.service_at) == (0, 0)
    assert unpack(pack(profile)) == profile


def test_offers_of_version_3_are_spread_over_the_quarters_and_no_ticket_is_a_complaint_by_default_alone() -> None:
    """Version 3 had one number of all folded orders with a discount, and took an update that says nothing for one."""
    needs = Needs(quarter=225, settled=(4, 2), settled_older=2, settled_discounted=8)
    by_default = Case(7, kind=Kind.COMPLAINT, reopened_at=5)
    old = Profile(first_seen_at=1, as_of=9, needs=needs, dealings=Dealings(cases=(by_default,)))
    read = unpack(b"\x03" + pack(old)[1:])
    assert (read.needs.with_offer, read.needs.settled_discounted) == ((4, 2), 2)
    assert not has_open_complaint(read)
    half = replace(old, needs=replace(needs, settled_discounted=4))
    assert unpack(b"\x03" + pack(half)[1:]).needs.with_offer == (2, 1)


VERSION_4: Final = bytes.fromhex(
    "0469f1a477000200dc0048ce695661c0ce69e8b84000000200ce69e766c0a0a108ce69de2c40000000000000000000dc001491dc0012cf7f"
    "da61456c25ed39ce69e766c000cd1388000001000001cd07d0000000a00000009001cd27100000ce6957b340ce6957b340ce6957b34091cd"
    "4fe70000ce6957b340ce69e766c0cd0fa000000093cd0fa0cd0fa0c0c404e53e28239494cd505401710194cd5054cd138871cd27109098cd"
    "5055010f0138022b01cd5055c41e92eaa7aaf0079fd8f76d8e73cc7098ab36b9facec21c7359cdc5b0245ef59195a122a12301ce695661c0"
    "0090000090919ab0666565646261636b5f7265717565737401a142d93d4f72646572436f6d706c65746564203131302063757272656e6379"
    "3d555344206f726465725f69643d4220726576656e75655f6d696e6f723d35303030a473686f70ce69e766c0ce69e766c0ce69f9dbc0ce6a"
    "2168c00191ce696a284081a10ece696a284094a10ea110a116ce69e766c0c0c09000c0c090c00000000000050000000000a12f0000cd4fe7"
    "ce69f9dbc0ce1f82bae3000090a00090909000c0c0dc001600000000a0000000a000a000909000cce190920001000000909a9090c090c000"
    "900000000090"
)
"""As version 4 packed a customer at 113 days: A 100.00 of day 1, folded, and B 50.00 of day 110, whose feedback request
waits; e-mails on days 0, 96 and 111, and two on day 40."""


def test_a_profile_of_version_4_keeps_its_days_its_open_triggers_and_how_far_its_ledger_is_folded() -> None:
    profile = unpack(VERSION_4)
    assert VERSION_4[0] == 4
    shown = figures(profile.buckets, 20_454 + 113)
    assert [shown[days][Measure.EMAILS_DELIVERED] for days in (7, 30, 90, 365)] == [1, 2, 4, 5]
    assert [shown[days][Measure.REVENUE_MINOR] for days in (7, 30, 90, 365)] == [5_000, 5_000, 5_000, 15_000]
    assert [(each.rule, each.business_key) for each in profile.considerations] == [("feedback_request", "B")]
    assert profile.ledger.folded_through_at == profile.ledger.folded_last_at == seconds(1)
    assert unpack(pack(profile)) == profile
    assert len(pack(profile)) < len(VERSION_4)
