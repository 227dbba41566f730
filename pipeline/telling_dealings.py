"""How we deal with a customer, in words: what the stage rests on and wants, satisfaction, what we owe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

MISSING: Final = {
    "identity": "to know who they are",
    "need": "to know a need of theirs",
    "answer": "an answer of theirs to a message made from a need",
    "purchase": "a purchase",
    "departments": "more departments to deal with them well",
    "cycles": "a purchase in each of their cycles",
    "complaint_solved": "their complaint solved",
    "time_since_fall": "time, since they fell lately",
}
"""What a next stage may want, each as the end of a sentence."""
_KINDS: Final = {
    "survey": "surveys", "review": "reviews", "mention": "posts", "ticket": "tickets", "promise": "promises",
}  # fmt: skip
_OWES: Final = {"marketing": "to write only with consent", "sales": "deliveries", "service": "answers"}


def dealings_lines(profile: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(title, what is told), for a profile's view; older views say less."""
    evidence = profile["stage_evidence"]
    if evidence.get("dealt_well"):
        yield "why", _evidence(evidence)
        if evidence["next_stage"]:
            wants = (
                "; ".join(MISSING.get(each, each) for each in evidence["missing"]) or "nothing more: at the next look"
            )
            yield f"for {evidence['next_stage']}", wants
    if profile.get("satisfaction"):
        yield "satisfaction", satisfaction_line(profile["satisfaction"])
    if profile.get("owed"):
        yield "we owe", _owed(profile["owed"])


def _evidence(evidence: Mapping[str, Any]) -> str:
    known, answered = _day(evidence["need_known_at"]), _day(evidence["need_answered_at"])
    told = [
        "we know who they are" if evidence["identified"] else "we do not know who they are",
        f"a need known since {known}" if known else "no need known",
        f"answered {answered}" if answered else "no message made from a need answered",
    ]
    told += [
        f"{each['department']} {_day(each['at'])}{'' if each['is_recent'] else ' (too long ago)'}"
        for each in evidence["dealt_well"]
        if each["at"]
    ]
    cycles, gap = evidence["bought_in_cycles"], evidence["typical_gap_days"]
    rhythm = f" (their gap: {gap} days)" if gap else ""
    told.append(f"bought in {sum(cycles)} of the last {len(cycles)} cycles of {evidence['cycle_days']} days{rhythm}")
    if evidence["referrals"]:
        told.append(f"friends sent: {evidence['referrals']}")
    if evidence["is_frozen"]:
        told.append("a serious complaint holds it where it is")
    return "; ".join(told)


def satisfaction_line(satisfaction: Mapping[str, Any]) -> str:
    """How satisfied they are, and by what."""
    rests_on = ", ".join(
        f"{_KINDS[each['kind']]} {each['mean_fraction']:.0%} ({each['count']}, the latest of {each['latest_on']})"
        for each in satisfaction["evidence"]
    )
    if satisfaction["fraction"] is None:
        return "unknown: " + (f"all that was said is too old: {rests_on}" if rests_on else "they have said nothing yet")
    low, high = satisfaction["fraction_low"], satisfaction["fraction_high"]
    return f"{satisfaction['level']}, {satisfaction['fraction']:.0%} ({low:.0%} to {high:.0%}), by {rests_on}"


def _owed(owed: Mapping[str, Any]) -> str:
    told = [
        f"{_OWES[each['department']]}: {each['kept']} of {each['made']} kept, {each['broken']} broken, "
        f"{each['open']} open"
        for each in owed["departments"]
        if each["made"]
    ]
    told += [
        f"{each['what']} due {_minute(each['due_at'])}"
        + (f", shipped {_day(each['shipped_at'])}" if each["shipped_at"] else "")
        for each in owed["open"]
    ]
    return "; ".join(told) or "nothing promised so far"


def _day(instant: object) -> str:
    return str(instant)[:10] if instant else ""


def _minute(instant: object) -> str:
    return str(instant)[:16].replace("T", " ")
