"""One customer into the sums: orders and costs, who they were in each period, where they stand, what they wish."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from pipeline.analysis.report.calendar import OUTSIDE, month_days
from pipeline.analysis.report.felt import Span, felt_in, was_dealt_with
from pipeline.analysis.report.flows import flows_of, order_shares, spent_rows, split, standing_orders
from pipeline.analysis.report.life import WISHES_MAX, Life, Wish
from pipeline.analysis.report.measures import Measure, Row, add, brought, net_revenue, nothing, profit
from pipeline.analysis.report.standing import Standing
from pipeline.analysis.report.tally import (
    ALL_EVIDENCE,
    BY_FRIEND,
    CHANNEL,
    FRIEND,
    MICRO,
    NO_CHANNEL,
    NO_TIER,
    SHOP,
    TIER,
    WHOLE_TIME,
    WORD_OF_MOUTH,
    Moments,
    Tally,
)
from pipeline.core import cases, owed
from pipeline.core.acquisition import WHOLE
from pipeline.core.days import running_month
from pipeline.core.owed import Owed
from pipeline.core.profile import Dealings

_BAD: Final = ("complaint", "low rating", "refund", "cancellation")
_SILENT: Final = ("at_risk", "lapsed")
_NOTHING_SAID: Final = Wish("nothing", "", "", "")


def take(tally: Tally, life: Life, standing: Standing, as_of: int) -> None:
    """Sum one customer more, as of an instant."""
    taken = _Taken(tally, life, standing, as_of)
    taken.orders()
    taken.costs()
    taken.achieved()
    taken.people()
    taken.satisfied()
    taken.won()
    taken.promises()
    taken.standing()
    taken.wishes()


class _Taken:
    """A customer on their way into the sums."""

    def __init__(self, tally: Tally, life: Life, standing: Standing, as_of: int) -> None:
        self.tally, self.life, self.who, self.calendar = tally, life, standing, tally.calendar
        self.as_of = as_of
        self.tier = standing.tier or NO_TIER
        self.first_at = standing.first_purchase_at
        self.first_day = self.calendar.day(self.first_at) if self.first_at else 0
        self.first_month = running_month(self.first_day) if self.first_at else 0
        by_friend = life.referred_at and (not self.first_at or life.referred_at <= self.first_at)
        self.nobody = WORD_OF_MOUTH if by_friend and not standing.shares else NO_CHANNEL
        """Whose is what no touch has a part in: who was touched besides a friend's word came not by that alone."""
        self.friend = BY_FRIEND[bool(standing.shares)] if by_friend else ""
        """How who came by a friend was touched besides."""
        self.shares = {**standing.shares, self.nobody: WHOLE - sum(standing.shares.values())}
        touch = life.first_touch
        is_touched = touch is not None and (not self.first_at or touch[0] <= self.first_at)
        self.first_channel = touch[1] if touch is not None and is_touched else self.nobody
        self.periods: set[int] = set()
        """With an order of theirs."""
        self.begins: set[int] = set()
        """First days of the whole periods with one, in the report or not."""

    def orders(self) -> None:
        """What they bought and gave back, whole and by the channels that touched them before."""
        months: set[int] = set()
        for entry, told in standing_orders(self.life):
            placed = self.calendar.place(entry.purchased_at)
            months.add(placed.month)
            self.periods.add(placed.period)
            self.begins.add(self.calendar.begin(self.calendar.day(entry.purchased_at)))
            window = self.tally.rules.attribution_window_days
            shares = order_shares(self.life.touches, entry.purchased_at, window)
            for flow in flows_of(entry, told):
                day, row = self.calendar.day(flow.at), flow.row
                place = self.calendar.place_of_day(day)
                row[Measure.REPEAT_ORDERS] = row[Measure.ORDERS] if day > self.first_day else 0
                self._sum(place.period, place.month, row)
                self.tally.sales_by_day[day] += net_revenue(row)
                if place.period != OUTSIDE:
                    self._attribute(place.period, row, shares)
        for month in sorted(months):
            self.tally.bought[self.first_month, month - self.first_month] += 1
        for period in sorted(self.periods):
            for what, which in ((SHOP, ""), (TIER, self.tier)):
                self.tally.rows[what, which, period][Measure.BUYERS] += 1
        for begin in self.begins.intersection(self.calendar.following):
            period = self.calendar.following[begin]
            self.tally.bought_before[period] += 1
            self.tally.retained[period] += period in self.periods

    def _sum(self, period: int, month: int, row: Row) -> None:
        tally = self.tally
        add(tally.totals, row)
        for what, which in ((SHOP, ""), (TIER, self.tier), *([(FRIEND, self.friend)] if self.friend else [])):
            add(tally.rows.setdefault((what, which, period), nothing()), row)
        if self.first_at:
            for channel, part in split(row, self.who.shares, self.nobody).items():
                left = profit(part) + part[Measure.CHANNELS]
                tally.left[channel, self.first_month, max(0, month - self.first_month)] += left

    def _attribute(self, period: int, row: Row, shares: dict[str, dict[str, int]]) -> None:
        tally, of_policy = self.tally, shares[self.tally.rules.attribution]
        split_by_policy = split(row, of_policy, self.nobody)
        for channel, part in split_by_policy.items():
            add(tally.rows.setdefault((CHANNEL, channel, period), nothing()), part)
        for model, by_channel in shares.items():
            parts = split_by_policy if by_channel is of_policy else split(row, by_channel, self.nobody)
            whole = {self.nobody: WHOLE - sum(by_channel.values()), **by_channel}
            for channel, part in parts.items():
                sums = tally.attributed.setdefault((model, channel), [0, 0, 0])
                sums[0] += whole[channel] * row[Measure.ORDERS]
                sums[1] += net_revenue(part)
                sums[2] += brought(part)

    def costs(self) -> None:
        """What was spent on them and done for them; what channels cost that won them, on the day they were."""
        for place, row in spent_rows(self.life.spent):
            self._sum(place.period, place.month, row)
        if self.who.value.channel_cost_minor:
            row = nothing()
            row[Measure.CHANNELS] = self.who.value.channel_cost_minor
            place = self.calendar.place_of_day(self.first_day)
            self._sum(place.period, place.month, row)

    def achieved(self) -> None:
        """What our doings brought about with them: e-mails they answered, tickets that were solved."""
        done = [(at, Measure.ANSWERED) for at in self.life.answered.values()]
        done += [
            (told.case.solved_at, Measure.SOLVED) for told in self.life.tickets.values() if cases.is_solved(told.case)
        ]
        for at, measure in done:
            place, row = self.calendar.place(at), nothing()
            row[measure] = 1
            self._sum(place.period, place.month, row)

    def people(self) -> None:
        """Each person once a period, and once in the whole time."""
        life, count = self.life, self._count
        seen_day = self.calendar.day(life.first_at)
        first_day = self.tally.first_day
        self.tally.first_day = seen_day if first_day is None else min(first_day, seen_day)
        if seen_day < self.calendar.first_day and not (self.first_at and self.first_day < self.calendar.first_day):
            self.tally.prospects_before += 1
            count("prospects", WHOLE_TIME, self.first_channel)
        seen = self.calendar.place_of_day(seen_day).period
        if seen != OUTSIDE:
            count("newcomers", seen)
            count("newcomers", WHOLE_TIME)
            count("newcomers", seen, self.first_channel)
            count("newcomers", WHOLE_TIME, self.first_channel)
        if self.periods - {OUTSIDE}:
            count("buyers", WHOLE_TIME)
        for period, said in life.said.items():
            if said.is_reached:
                count("reached", period)
        if any(said.is_reached for said in life.said.values()):
            count("reached", WHOLE_TIME)
        promoting = {self.calendar.place(at).period for at in life.referrals.values()} - {OUTSIDE}
        promoting |= {period for period, said in life.said.items() if said.is_promoting}
        for period in sorted(promoting):
            count("promoting", period)
        if promoting:
            count("promoting", WHOLE_TIME)

    def _count(self, step: str, period: int, channel: str = "", people: int = 1) -> None:
        self.tally.people[step, channel, period] += people

    def satisfied(self) -> None:
        """How satisfied they were in each period that has begun, and in the whole time, once they have bought."""
        if not self.first_at:
            return
        periods, said = self.calendar.periods, self.life.said
        today, is_dealt_with = self.calendar.day(self.as_of), was_dealt_with(self.life)
        for number in range(len(periods)) if is_dealt_with else sorted(said):
            if periods[number].first_day <= today and self.first_day <= periods[number].last_day:
                days, told = periods[number], [said[number].dealings] if number in said else []
                self._satisfied_in(number, told, (days.first_day, days.last_day))
        if (is_dealt_with or said) and self.first_day <= self.calendar.last_day:
            whole = self.calendar.first_day, self.calendar.last_day
            self._satisfied_in(WHOLE_TIME, [each.dealings for each in said.values()], whole)

    def _satisfied_in(self, period: int, said: Iterable[Dealings], days: tuple[int, int]) -> None:
        until = min(self.calendar.end(days[1]), self.as_of)
        found = felt_in(self.life, said, Span(*days, until), self.tally.policy)
        if found is None:
            return
        self._count("heard", period)
        if found.is_satisfied:
            self._count("satisfied", period)
        self.tally.score_micro["heard", period] += round(MICRO * found.score)
        if self.life.tickets and felt_in(
            self.life, (), Span(*days, self.calendar.end(days[0] - 1) + 1), self.tally.policy
        ):
            self._count("complaining", period)
            self.tally.score_micro["complaining", period] += round(MICRO * found.score)

    def won(self) -> None:
        """Whom channels reached, and whom they won."""
        reached: set[tuple[int, str]] = set()
        for at, channel in self.life.touches:
            period = self.calendar.place(at).period
            if period != OUTSIDE:
                reached |= {(period, channel), (WHOLE_TIME, channel)}
                self.tally.rows.setdefault((CHANNEL, channel, period), nothing())[Measure.TOUCHES] += 1
        for period, channel in sorted(reached):
            self._count("reached", period, channel)
        won = self.calendar.place_of_day(self.first_day).period if self.first_at else OUTSIDE
        if won != OUTSIDE:
            self._count("first order", WHOLE_TIME, self.first_channel)
            if self.friend:
                self.tally.won_by_friend[self.friend] += 1
            for channel, share in self.shares.items():
                for period in (won, WHOLE_TIME):
                    self._count("persuaded", period, channel, share)

    def promises(self) -> None:
        """Deliveries and answers promised, in the period they were due in."""
        due = [
            ("sales", told.promised_at, owed.of_delivery(told.delivery, self.as_of))
            for told in self.life.orders.values()
        ]
        due += [
            ("service", told.case.promised_at, owed.of_answer(told.case, self.as_of))
            for told in self.life.tickets.values()
        ]
        for department, promised_at, found in due:
            period = self.calendar.place(promised_at).period if found.kept or found.broken else OUTSIDE
            if period != OUTSIDE:
                self.tally.promises["kept" if found.kept else "broken", department, period] += 1

    def standing(self) -> None:
        """Their value to date, by where they stand, by who won them and when."""
        tally, who = self.tally, self.who
        tally.value += who.value
        for department, theirs in who.owed.items():
            tally.owed[department] = tally.owed.get(department, Owed()).plus(theirs)
        if not self.first_at:
            return
        self._satisfied()
        worth, spent = who.value.value_to_date_minor, who.value.margin_minor - who.value.value_to_date_minor
        tally.has_predictions |= who.predicted_minor is not None
        for sums, key in ((tally.by_lifecycle, who.lifecycle), (tally.by_tier, self.tier)):
            sums.setdefault(key, Moments()).take(worth, spent, who.predicted_minor or 0)
        if self.friend:
            tally.by_friend[self.friend].take(worth, spent, who.predicted_minor or 0)
        tally.sizes[self.first_month] += 1
        for channel, share in self.shares.items():
            tally.won[channel, self.first_month] += share
        for channel, part in split([worth], who.shares, self.nobody).items():
            tally.value_won[channel, self.first_month] += part[0]
        today = self.calendar.day(self.as_of)
        for (_, before), (month, after) in pairwise(who.tier_by_month):
            period = self.calendar.place_of_day(min(month_days(month)[1], today)).period
            if period != OUTSIDE:
                tally.tier_moves[before, after, period] += 1

    def _satisfied(self) -> None:
        """How satisfied they are, and the evidence of it by kind, where it weighs enough to say so."""
        felt, found = self.tally.felt, self.who.satisfaction
        felt.levels[found.level] += 1
        if found.fraction is None:
            return
        today, scores = self.calendar.day(self.as_of), {ALL_EVIDENCE: [found.fraction]}
        for piece in self.who.evidence:
            scores.setdefault(piece.kind, []).append(piece.score)
            felt.ages[piece.kind, max(today - piece.day, 0)] += 1
        for kind, some in scores.items():
            felt.scores.setdefault(kind, Moments()).take(round(sum(some) * MICRO), len(some), 0)

    def wishes(self) -> None:
        """What they let us know, and what they said last before they went silent."""
        is_mvc, words = int(self.tier == "mvc"), list(self.life.words())
        wishes = Counter(self.life.wishes)
        for at, wish in words:
            if self.calendar.place(at).period != OUTSIDE and (wish in wishes or len(wishes) < WISHES_MAX):
                wishes[wish] += 1
        for wish, times in wishes.items():
            sums = self.tally.wishes.setdefault(wish, [0, 0, 0, 0])
            for place, each in enumerate((times, 1, is_mvc, self.who.value.value_to_date_minor)):
                sums[place] += each
        if self.who.lifecycle in _SILENT and self.first_at:
            self._lost([each for each in words if each[1].kind in _BAD])

    def _lost(self, bad: list[tuple[int, Wish]]) -> None:
        """One who went silent, by each product that their last bad word was about, whenever it was said."""
        if self.life.low_rating is not None:
            bad.append(self.life.low_rating)
        lost = self.tally.lost
        lost.people += 1
        lost.told += bool(bad)
        last_at, last = max(bad, default=(0, _NOTHING_SAID))
        said = last_at, last.kind, last.reason
        products = {wish for at, wish in bad if (at, wish.kind, wish.reason) == said}
        lost.wishes.update(products or {last})
