"""Aliases: one form for each, strongest first; what means nobody is none."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.identity import (
    KINDS,
    MAY_CREATE,
    alias_hash,
    aliases,
    mint,
    named,
    normalised,
    possible_aliases,
    referred_alias,
)  # fmt: skip
from pipeline.schemas import events
from tests.core.inbound import inbound


def of(**who: Any) -> list[tuple[str, str]]:
    """The aliases of an event of this person."""
    return aliases(named(inbound("TouchRecorded", channel="email", **{"customer_id": None, **who})))


def test_the_strongest_alias_comes_first() -> None:
    assert of(handle="X:Ann", phone="+49 30 123-456", email="Ann@Example.ORG", customer_id="Ann-1") == [
        ("customer_id", "Ann-1"), ("email", "ann@example.org"), ("phone", "+4930123456"), ("handle", "x:ann"),
    ]  # fmt: skip
    assert [kind for kind, _ in possible_aliases("123456")] == list(KINDS)


@pytest.mark.parametrize(
    ("kind", "value", "normal"),
    [
        ("customer_id", "  Ann ", "Ann"),
        ("email", " Ann@Example.org", "ann@example.org"),
        ("phone", "+49 (30) 12.34-56", "+4930123456"),
        ("phone", "030/123 456", "030123456"),
        ("phone", "+ () ()", ""),
        ("handle", "Insta:Ann", "insta:ann"),
    ],
)
def test_an_alias_has_one_form(kind: str, value: str, normal: str) -> None:
    assert normalised(kind, value) == normal
    assert normalised(kind, normal) == normal


@pytest.mark.parametrize(
    "nobody", ["0", "000", "-1", "null", "None", "NULL", "undefined", "anonymous", "guest", "  ", "0-0"]
)
def test_what_means_nobody_is_no_alias(nobody: str) -> None:
    assert of(customer_id=nobody, email="a@b") == [("email", "a@b")]


@pytest.mark.parametrize("nobody", ["0000", "+0000", "+()()", "( - )", "000-000"])
def test_a_phone_without_a_number_is_no_alias(nobody: str) -> None:
    assert of(phone=nobody, email="a@b") == [("email", "a@b")]


def test_a_mention_is_of_its_author() -> None:
    mention = {"customer_id": None, "mention_id": "1", "platform": "insta"}
    assert aliases(named(inbound("MentionPosted", **mention, author_handle="Ann"))) == [("handle", "insta:ann")]
    assert aliases(named(inbound("MentionPosted", **mention, author_handle="Ann", handle="x:b"))) == [("handle", "x:b")]
    assert aliases(named(inbound("MentionPosted", **mention))) == []


def test_the_friend_of_a_referral_is_named_by_id_before_address() -> None:
    def friend(**named: str) -> Any:
        event = inbound("ReferralMade", referral_id="r", **named)
        assert isinstance(event, events.ReferralMade)
        return referred_alias(event)

    assert friend(referred_customer_id="bob", referred_email="bob@example.org") == ("customer_id", "bob")
    assert friend(referred_customer_id="null", referred_email="Bob@example.org") == ("email", "bob@example.org")
    assert friend() is None


def test_an_alias_hash_says_nothing_without_the_key_and_differs_by_kind() -> None:
    one = alias_hash("email", "a@b", b"key")
    assert len(one) == 32
    assert alias_hash("email", "a@b", b"key") == one
    assert len({one, alias_hash("email", "a@b", b"other"), alias_hash("handle", "a@b", b"key")}) == 3


def test_a_minted_id_is_of_its_place_alone() -> None:
    assert mint(1, 2) == mint(1, 2)
    assert len({mint(1, 2), mint(1, 3), mint(2, 2), mint(12, 0), mint(1, 20)}) == 5


def test_what_may_make_a_customer_is_a_known_event() -> None:
    kinds = {kind.__name__ for kind in events.InboundEvent.__args__}
    assert kinds >= MAY_CREATE
    assert not MAY_CREATE & {"MentionPosted", "EmailOpened", "OrderRefunded", "CostRecorded"}
