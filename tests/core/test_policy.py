"""The policy refuses nonsense when it is read, all of it in one message."""

from __future__ import annotations

import tomllib

import pytest

from pipeline.core.policy import (
    DEFAULT,
    BadPolicy,
    default_text,
    from_dict,
    from_logged,
    load_policy,
    policy_hash,
    to_dict,
)
from tests.core.builders import policy


def problems_of(text: str) -> str:
    """What a policy file's text is refused for."""
    with pytest.raises(BadPolicy) as refused:
        load_policy(text)
    return str(refused.value)


def changed(old: str, new: str) -> str:
    """The default file with one thing changed."""
    assert default_text().count(old) >= 1
    return default_text().replace(old, new)


def test_the_defaults_hold_and_come_back_whole_from_the_log() -> None:
    assert load_policy(default_text()) == DEFAULT
    assert from_dict(to_dict(DEFAULT)) == DEFAULT
    written = tomllib.loads(default_text())
    written["rules"]["retention_offer"]["wait_after_delivery_days"] = 0  # the one field that may be left out
    assert to_dict(DEFAULT) == written


def test_all_problems_are_in_one_message() -> None:
    text = changed("at_risk_after_days = 60", "at_risk_after_days = 0").replace(
        "messages_max = 2", "messages_max = 17"
    )  # fmt: skip
    text = text.replace('"UTC"', '"Europe/Atlantis"').replace('purpose = "feedback"', 'purpose = "spying"')
    text = text.replace('channel = "email"            #', 'channel = "pigeon"           #')
    message = problems_of(text)
    assert "lifecycle.at_risk_after_days: expected 1 to 3650, got 0" in message
    assert "guard_rails.messages_max: expected 1 to 16, got 17" in message
    assert "shop.time_zone: expected an IANA zone such as Europe/Berlin, got 'Europe/Atlantis'" in message
    assert "rules.feedback_request.purpose: expected one of marketing, feedback, got 'spying'" in message
    assert "rules.retention_offer.channel: expected one of" in message
    assert len(message.splitlines()) == 1 + 5


def test_a_value_of_another_kind_hides_nothing_beside_it() -> None:
    """Six mistakes of four sorts: a kind, a missing key, an unknown one, a bound, an order and a choice."""
    text = changed("messages_max = 2 ", 'messages_max = "2" ').replace("cool_down_days = ", "cooling_days = ", 1)
    text = text.replace("lapsed_after_days = 180", "lapsed_after_days = 30").replace(
        "cycle_days = 90 ", "cycle_days = 1 "
    )
    text = text.replace('attribution = "linear"', 'attribution = "guessed"')
    problems = [problem.strip().partition(": ")[0] for problem in problems_of(text).splitlines()[1:]]
    (misspelt,) = (name for name in problems if name.endswith("cooling_days"))
    assert sorted(problems) == sorted(
        [
            "guard_rails.messages_max", misspelt, misspelt.replace("cooling", "cool_down"), "stage.cycle_days",
            "lifecycle.at_risk_after_days (60) must come before lifecycle.lapsed_after_days (30)", "value.attribution",
        ]
    )  # fmt: skip


def test_a_section_that_is_none_hides_nothing_of_the_others() -> None:
    document = to_dict(DEFAULT) | {"shop": 3, "needs": [], "rules": None}
    document["stage"] |= {"cycle_days": 1}
    document["value"] = {**to_dict(DEFAULT)["value"], "margin_permille_by_category": "none", "margin_permille": 2000}
    with pytest.raises(BadPolicy) as refused:
        from_dict(document)
    assert sorted(line.strip() for line in str(refused.value).splitlines()[1:]) == [
        "needs: expected a section, got list",
        "rules: expected a section, got NoneType",
        "shop: expected a section, got int",
        "stage.cycle_days: expected 7 to 730, got 1",
        "value.margin_permille: expected -1000 to 1000, got 2000",
        "value.margin_permille_by_category: expected a table, got 'none'",
    ]


def test_what_an_order_hangs_on_is_not_guessed() -> None:
    text = changed("at_risk_after_days = 60", 'at_risk_after_days = "sixty"')
    text = text.replace("lapsed_after_days = 180", "lapsed_after_days = 30")
    assert problems_of(text).splitlines()[1:] == ["  lifecycle.at_risk_after_days: expected int, got 'sixty'"]


def test_unknown_keys_and_sections_are_named_with_what_is_known() -> None:
    message = problems_of(default_text() + "\n[rules.win_back]\nenabled = true\n[quiet]\nfrom = 22\n")
    assert "rules.win_back: unknown; expected one of retention_offer, feedback_request" in message
    assert "quiet: unknown; expected one of shop, lifecycle" in message


def test_a_missing_key_is_named() -> None:
    assert "lifecycle.lapsed_after_days: expected, got nothing" in problems_of(
        "\n".join(line for line in default_text().splitlines() if not line.startswith("lapsed_after_days"))
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("messages_max = 2 ", 'messages_max = "2" ', "guard_rails.messages_max: expected int, got '2'"),
        ("messages_max = 2 ", "messages_max = 2.0 ", "guard_rails.messages_max: expected int, got 2.0"),
        ("messages_max = 2 ", "messages_max = true ", "guard_rails.messages_max: expected int, got True"),
        ("enabled = true", "enabled = 1", "rules.retention_offer.enabled: expected bool, got 1"),
        ("[shop]\n", "shop = 3\n[else]\n", "shop: expected a section, got int"),
    ],
)
def test_a_value_of_another_kind_is_refused(old: str, new: str, problem: str) -> None:
    assert problem in problems_of(changed(old, new))


@pytest.mark.parametrize("lapsed", [60, 59])
def test_at_risk_comes_before_lapsed(lapsed: int) -> None:
    message = problems_of(changed("lapsed_after_days = 180", f"lapsed_after_days = {lapsed}"))
    assert f"lifecycle.at_risk_after_days (60) must come before lifecycle.lapsed_after_days ({lapsed})" in message


@pytest.mark.parametrize("zone", ["", "../../etc/passwd", "/etc/localtime", "Mars/Olympus", "Europe", "\\u0000"])
def test_a_bad_time_zone_is_refused_whatever_it_is(zone: str) -> None:
    assert "shop.time_zone: expected an IANA zone" in problems_of(changed('"UTC"', f'"{zone}"'))


@pytest.mark.parametrize("text", ["", "[shop", "shop = ", "\x00", "a = 1\na = 2"])
def test_what_is_no_policy_file_at_all_is_refused(text: str) -> None:
    assert problems_of(text)


def test_the_hash_changes_with_every_rule_and_with_nothing_else() -> None:
    assert policy_hash(from_dict(to_dict(DEFAULT))) == policy_hash(DEFAULT)
    others = [
        policy(lifecycle__prospect_limit_days=31), policy(rules__retention_offer__edition=2),
        policy(rules__feedback_request__enabled=False), policy(shop__time_zone="Asia/Tehran"),
    ]  # fmt: skip
    hashes = {policy_hash(each) for each in (DEFAULT, *others)}
    assert len(hashes) == 5
    assert all(len(each) == 16 for each in hashes)


def test_an_active_customer_needs_no_more_purchase_days_than_are_kept() -> None:
    with pytest.raises(BadPolicy, match="active_from_purchases: expected 2 to 32, got 33"):
        policy(lifecycle__active_from_purchases=33)


def test_a_logged_cap_that_looked_back_further_than_is_kept_now_looks_back_as_far_as_it_can() -> None:
    logged_once = to_dict(DEFAULT)
    logged_once["guard_rails"]["messages_window_days"] = 365
    assert from_logged(logged_once).guard_rails.messages_window_days == 31
    with pytest.raises(BadPolicy, match="messages_window_days: expected 1 to 31, got 365"):
        from_dict(logged_once)
