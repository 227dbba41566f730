"""What is known of one customer: private to the core, may change with every release (the public face is `view`).

Packed as arrays, so the order of fields is part of the format: add at the end, with a default, and raise
`codec.VERSION` when the meaning of one changes. Instants are whole seconds since 1970, 0 for never.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cached_property
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from pipeline.core.words import full


class Stage(IntEnum):
    """How far the relationship has grown. Never moved by risk or by an open complaint."""

    EXPLORATORY = 0
    BASIC = 1
    COLLABORATIVE = 2
    BONDED = 3

    @cached_property
    def label(self) -> str:
        """Its name on the wire."""
        return self.name.lower()


class Lifecycle(IntEnum):
    """Where the customer stands with buying, driven by purchases and by silence."""

    PROSPECT = 0
    NEW = 1
    ACTIVE = 2
    AT_RISK = 3
    LAPSED = 4
    WON_BACK = 5

    @cached_property
    def label(self) -> str:
        """Its name on the wire."""
        return self.name.lower()


class Tier(IntEnum):
    """What a customer is to the shop: the lower, the less is gained by doing more for them."""

    UNKNOWN = 0
    BZ = 1
    REST = 2
    MGC = 3
    MVC = 4

    @cached_property
    def label(self) -> str:
        """Its name on the wire."""
        return self.name.lower()


STAGES: Final = tuple(stage.label for stage in Stage)
"""What they are called, by number; so too the lifecycles."""
LIFECYCLES: Final = tuple(lifecycle.label for lifecycle in Lifecycle)


class _Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Small, packed as an array."""


Content = int | tuple[int, ...]
"""A mark of lines, of 16 bits; above it the thousandths of the second that its date is in: they tell versions apart.

Where margins go by category or a refund names lines, those come behind it, as `lines` keeps them.
"""
CONTENT_BITS: Final = 16


def _told(content: Content) -> tuple[int, int]:
    """(thousandths of a second, mark)."""
    return divmod(content if isinstance(content, int) else content[0], 1 << CONTENT_BITS)


class _HasContent(Protocol):
    @property
    def content(self) -> Content: ...


class _Versioned(_Entry, frozen=True):
    """An entry of which several versions may be told: what its `content` says of the one that counts."""

    @property
    def version_milli(self: _HasContent) -> int:
        """The thousandths of its second."""
        return _told(self.content)[0]

    @property
    def content_mark(self: _HasContent) -> int:
        """A mark of its lines: of two versions alike but for these the same one counts in any order of arrival."""
        return _told(self.content)[1]


ASKED: Final = 1
LATE: Final = 2
"""What is noted of an order besides its own words."""


class Order(_Versioned, frozen=True):
    """An order in the ledger. Known 0: something about it came first (a cancellation, a delivery)."""

    order: int
    purchased_at: int = 0
    """The earliest instant any version of it gives."""
    version_at: int = 0
    """Of the version that counts; 0: the same as `purchased_at`."""
    revenue_minor: int = 0
    discount_minor: int = 0
    arrived_at: int = 0
    """When the order came; while not known, the latest word of it. 0: at its own date, or before the first Tick."""
    known: int = 0
    cancelled: int = 0
    delivered_at: int = 0
    noted: int = 0
    """`ASKED` and `LATE`, put together."""
    margin_minor: int = 0
    """What it leaves before discount, at the rates in force when it arrived."""
    commission_minor: int = 0
    """What the affiliate gets who brought it."""
    cost_minor: int = 0
    """Costs that name it. A memo: they are counted by department, not here."""
    content: Content = 0
    paid_currency: str = ""
    """The currency it was paid in, if not the shop's."""
    categories: int = 0
    """What it was of: a bit for each place in the customer's own table of categories."""
    paid_minor: int = 0
    """What was paid, in that currency."""
    offer: int = 0
    """Whether any version of it names an offer that was used, whatever it took off the price."""

    @property
    def asked(self) -> bool:
        """Whether asking how it was has been considered: an order told again is not asked about twice."""
        return bool(self.noted & ASKED)

    @property
    def came_late(self) -> bool:
        """Whether it came later than promised, by a promise that is no longer kept one by one."""
        return bool(self.noted & LATE)

    @property
    def kinds(self) -> tuple[int, ...]:
        """Its lines by category, at their margin rates, as `lines` keeps them; empty where the rate is one for all."""
        return () if isinstance(self.content, int) else self.content[1:]


class Refund(_Versioned, frozen=True):
    """A refund in the ledger, its order there or not. `amount_minor` -1: whatever is left of the order."""

    refund: int
    order: int
    refunded_at: int
    amount_minor: int
    arrived_at: int
    """0: at its own date, or before the first Tick."""
    margin_minor: int | None = None
    """What was kept before the lines it names were, at rates that were not the order's: no figure goes by it."""
    handling_minor: int = 0
    """What handling it costs us."""
    content: Content = 0
    paid_currency: str = ""
    """The currency it says how much in, if not the shop's, and how much that is."""
    paid_minor: int = 0

    @property
    def named(self) -> tuple[int, ...]:
        """The lines it names, by category, as `lines` keeps them."""
        return () if isinstance(self.content, int) else self.content[1:]


class Rest(_Entry, frozen=True):
    """What few customers have: purchase days that left nothing, and more of them than are kept one by one."""

    poor_days: int = 0
    """Days between the first and the last that left nothing, and their loss."""
    poor_minor: int = 0
    older_days: int = 0
    """Days older than those of `folded_days`."""
    gap_log_micro: int = 0
    """Sum of the logarithms of the gaps from each of these to the next, in weeks; in millionths."""
    older_quarter: int = 0
    """The latest quarter with one of them, as `quarters` counts, and which of those before had one too."""
    older_mask: int = 0
    """A bit for each: 1 for `older_quarter`, 2 for the one before it, and so on; 63 quarters."""


class Past(_Entry, frozen=True):
    """What a forecast needs of folded purchase days beyond their dates and the folded totals."""

    first_margin_minor: int = 0
    """What the first day left after discount and commission: it says nothing of later ones, so it is in no mean."""
    last_margin_minor: int = 0
    """The same of the latest, which an order not yet folded may still join."""
    rest: Rest | None = None


class Ledger(_Entry, frozen=True):
    """Orders and refunds that may still change, and the totals of those that may not."""

    orders: tuple[Order, ...] = ()
    refunds: tuple[Refund, ...] = ()
    folded_orders: int = 0
    folded_revenue_minor: int = 0
    folded_refunded_minor: int = 0
    folded_discount_minor: int = 0
    folded_through_after: int = 0
    """How many seconds after the latest folded order the latest word of a folded entry is dated."""
    folded_first_at: int = 0
    folded_last_at: int = 0
    folded_days: tuple[int, ...] = ()
    """The latest purchase day among the folded orders, then the gaps in days to those before it."""
    folded_early: int = 0
    """Orders folded before their time because the ledger was full."""
    orphans: int = 0
    """Refunds folded without their order ever having come."""
    first_at: int = 0
    """The first purchase of all, and the last: kept beside the entries, since every step asks for them."""
    last_at: int = 0
    folded_margin_minor: int = 0
    """Of the folded orders, like the next three: what was kept of them."""
    folded_discount_kept_minor: int = 0
    folded_commission_minor: int = 0
    folded_returns_minor: int = 0
    past: Past | None = None
    folded_marks: bytes = b""
    """Of the latest folded orders, one after the other: see `folded.is_folded`."""

    @property
    def folded_through_at(self) -> int:
        """Of entries dated so far it is no more known one by one whether they came; 0: none is folded."""
        return self.folded_last_at + self.folded_through_after


EVERY_CHANNEL: Final = "*"


class Consent(_Entry, frozen=True):
    """What they said about one purpose on one channel (`*`: all of them)."""

    purpose_code: str
    """In short, as `words` has it; so too the channel."""
    channel_code: str
    word: int
    """Above zero a yes, else a no: 1 a first yes, one more for each second that the first was before this one; 0 a no
    without a yes, below zero by the seconds that their first yes was before this no."""
    changed_at: int
    valid_until: int = 0

    @property
    def granted(self) -> bool:
        """Whether it is a yes."""
        return self.word > 0

    @property
    def first_yes_at(self) -> int:
        """When they first said yes to it, whatever they said since; 0: never, as far as is known."""
        return self.changed_at - self.word + 1 if self.granted else self.word and self.changed_at + self.word

    def after(self, yes_at: int) -> Consent:
        """The same word, said after that first yes; of one instant counts as a second before."""
        before = self.changed_at - yes_at
        return replace(self, word=before + 1 if self.granted else -max(before, 1))

    @property
    def purpose(self) -> str:
        """What it is for."""
        return full(self.purpose_code)

    @property
    def channel(self) -> str:
        """Where; `*` is everywhere."""
        return full(self.channel_code)


class Ticket(_Entry, frozen=True):
    """An open ticket, of a profile packed before `Case` knew how grave it is."""

    ticket: int
    is_complaint: int
    severity: int
    opened_at: int
    promised_at: int = 0


class Consideration(_Entry, frozen=True):
    """A trigger whose cause has come and whose end has not."""

    rule_code: str
    """In short, as `words` has it."""
    edition: int
    business_key: str
    cause_id: str | tuple[int, int]
    """As `marks.packed_id` has it."""
    cause_source: str
    caused_at: int
    considered_at: int
    not_before_at: int
    expires_at: int
    announced: int = 0
    """Whether its being held has been said."""

    @property
    def rule(self) -> str:
        """Whose trigger it is."""
        return full(self.rule_code)


class Touched(_Entry, frozen=True):
    """A channel that reached them, and when, oldest first."""

    channel: str
    at: tuple[int, ...]


class Delivery(_Entry, frozen=True):
    """When we promised an order, and what became of it. `promised_at` 0: something else of it was told first."""

    order: int
    """Its mark, the short one."""
    promised_at: int = 0
    """The earliest day ever named."""
    delivered_at: int = 0
    shipped_at: int = 0
    """Only until it is delivered."""
    cancelled_at: int = 0


class Case(_Entry, frozen=True):
    """What a ticket was to its customer: whether we answered in time, whether it was solved, what they said of it."""

    ticket: int
    """Its mark, the short one."""
    kind: int
    opened_at: int = 0
    promised_at: int = 0
    """The earliest instant ever promised for an answer."""
    answered_at: int = 0
    """The first answer."""
    solved_after: int = 0
    """Seconds from it to the last time it was solved, and one more; 0: not solved yet."""
    reopened_at: int = 0
    said_at: int = 0
    """When they last judged our service; below 0: and called it bad."""
    replied: int = 0
    """Whether the first answer is known by itself (1), not by a solution alone (0); from 2 on besides when it was first
    solved: so many seconds after that answer, and two more."""
    severity: int = 0
    """The gravest ever told, 1 to 5; 0: none was."""

    @property
    def solved_last_at(self) -> int:
        """The last time it was told to be solved, or closed; 0: never."""
        return self.answered_at + self.solved_after - 1 if self.solved_after else 0

    @property
    def solved_first_at(self) -> int:
        """The first time, where it is known, else the last; 0: never."""
        if not self.solved_after or self.replied == 1:  # packed before the first time was kept
            return self.solved_last_at
        return self.answered_at + max(self.replied - 2, 0)

    @property
    def solved_at(self) -> int:
        """When it was solved: the first time, but of one that was opened again since, the last; 0: never.

        Told to be solved again, or closed, it is solved since then all the same.
        """
        first_at = self.solved_first_at
        return first_at if first_at > self.reopened_at else self.solved_last_at


class Settled(_Entry, frozen=True):
    """Promises no longer kept one by one: how they ended, and through when none is taken up any more."""

    kept: int = 0
    broken: int = 0
    through_at: int = 0


class Dealings(_Entry, frozen=True):
    """How we dealt with them, and what they said of it: our own record, and the evidence of satisfaction and stage."""

    said: tuple[tuple[int, ...], ...] = ()
    """Surveys, reviews and mentions, each as `satisfaction` keeps a series."""
    deliveries: tuple[Delivery, ...] = ()
    deliveries_settled: Settled | None = None
    cases: tuple[Case, ...] = ()
    answers_settled: Settled | None = None
    unconsented: int = 0
    """Messages sent to them without their consent, and the instants of the latest beyond these."""
    unconsented_at: tuple[int, ...] = ()
    need_since_at: int = 0
    """Since when we know a need of theirs, said or inferred."""
    need_met_at: int = 0
    """When they last answered a message that names the need it was made from."""
    gap_days: int = 0
    """Their typical gap between purchase days; 0 before there are two gaps."""


class Reward(_Entry, frozen=True):
    """A referral of a customer's, by its mark, and what they were given for it."""

    referral: int
    amount_minor: int
    told_at: int = 0
    """The earliest date that any word of it gives; 0: not kept yet."""
    friend: str | tuple[int, int] = ""
    """Whom it names, as `marks.packed_id` has it: who is told when an earlier date turns up."""


class Credit(_Entry, frozen=True):
    """What came by one path of referrals: short marks of the customers on it, who brought it first."""

    path: tuple[int, ...]
    amount_minor: int


class Category(_Entry, frozen=True):
    """A category they bought of. Orders still in the ledger are counted there, not here."""

    name: str
    quarters: tuple[int, ...] = ()
    """Folded orders, by quarter: that of `Needs.quarter` first."""
    older: int = 0


class Heard(_Entry, frozen=True):
    """What passed by one channel, by quarter: that of `Needs.quarter` first."""

    channel: int
    """Its place among `responses.CHANNELS`."""
    tried: tuple[int, ...] = ()
    """How often a person of ours turned to them."""
    answered: tuple[int, ...] = ()
    """How often they came to us, service apart."""
    asked: tuple[int, ...] = ()
    """How often they came for service."""
    last_day: int = 0
    """When they last answered or asked by it; 0: not since that is kept."""


class Needs(_Entry, frozen=True):
    """What they need and how they want to be dealt with, beside the wishes that are fields of the profile."""

    known_at: int = 0
    """When they were last identified, which always says whether they are a company."""
    is_company: int = 0
    language_before: int = 0
    """So many seconds before that the profile's language was last said; and so on."""
    time_zone_before: int = 0
    country: str = ""
    country_before: int = 0
    contacts_per_month_max: int = 0
    contacts_at: int = 0
    reason_for_buying: str = ""
    reason_at: int = 0
    written_language: str = ""
    """What they last wrote in."""
    written_at: int = 0
    answers: tuple[int, ...] = ()
    """Their latest signs of life: see `responses`."""
    heard: tuple[Heard, ...] = ()
    channel: int = 0
    """Whence they answer best, as the last review found; 0: it cannot be said."""
    quarter: int = 0
    """The quarter that counts begin with."""
    categories: tuple[Category, ...] = ()
    """By name."""
    settled: tuple[int, ...] = ()
    """Folded orders that were kept, by quarter; those before; and of these the ones bought with an offer."""
    settled_older: int = 0
    settled_discounted: int = 0
    shifted_on: int = 0
    """The day a review first found that they buy other things than before; 0: they do not."""
    with_offer: tuple[int, ...] = ()
    """Of `settled`, those bought with an offer."""


class Pace(_Entry, frozen=True):
    """How long they may be silent after their last purchase, by their own rhythm."""

    at_risk_days: int
    reckoned_under: int
    """The model and the policy of forecasts, in short: another means reckoning again."""


class Standing(_Entry, frozen=True):
    """The tier a customer is in, and the figures it was told from when last looked at; money in minor units."""

    tier: int
    why: int
    checked_day: int
    since_days: int
    """For so many days before that."""
    actual_minor: int
    ahead_minor: int
    potential_minor: int
    p_return_milli: int
    serve_minor: int
    p_below_zero_milli: int = -1
    """-1: not in doubt, or too early to say."""
    months: int = 1
    """After a leading 1, the tier at the end of each month before that of `checked_day`: digits to base 5."""

    @property
    def since_day(self) -> int:
        """The day they came into their tier."""
        return self.checked_day - self.since_days

    @property
    def month_ends(self) -> tuple[Tier, ...]:
        """The tiers at the ends of the months before that of `checked_day`, the oldest first."""
        return month_ends(self.months)


def month_ends(months: int) -> tuple[Tier, ...]:
    """The same of the number that `months` is."""
    found, left = [], months
    while left > 1:
        left, tier = divmod(left, len(Tier))
        found.append(Tier(tier))
    return tuple(reversed(found))


class Profile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One customer."""

    first_seen_at: int
    as_of: int
    next_review_at: int = 0
    stage: int = Stage.EXPLORATORY
    lifecycle: int = Lifecycle.PROSPECT
    stage_since_at: int = 0
    lifecycle_since_at: int = 0
    stage_reason: str = ""
    """Empty: they rose to it, or have just come (`stage.reason`)."""
    lifecycle_reason: str = "no_purchase_yet"
    stage_checked_at: int = 0
    stage_failed_checks: int = 0
    stage_peak: int = 0
    identified: int = 0
    need_at: int = 0
    answered_at: int = 0
    marketing_at: int = 0
    """When marketing last dealt with them well (they answered), and so for the other departments."""
    sales_at: int = 0
    """By contacts, and by orders that have folded: 0 while there was no contact and all of these stand (`sold_at`)."""
    service_at: int = 0
    prospect_overdue: int = 0
    ledger: Ledger = Ledger()
    buckets: tuple[tuple[int, ...], ...] = ()
    bucket_day: int = 0
    event_marks: bytes = b""
    consents: tuple[Consent, ...] = ()
    tickets: tuple[Ticket, ...] = ()
    """Empty since cases tell what is open: its place is kept for what was packed before."""
    complaints: int = 0
    complaint_closed_at: int = 0
    """The latest solution of a complaint."""
    tickets_let_go: tuple[int, ...] = ()
    """Short marks of the latest tickets that are no longer kept one by one: news of them comes too late."""
    considerations: tuple[Consideration, ...] = ()
    sent_at: tuple[int, ...] = ()
    """When the last messages were sent: as many as any cap or wish may look at, for both may grow."""
    rule_sent_at: dict[str, int] = {}
    last_decision: tuple[str, str, str, int] | None = None
    """(rule, outcome, first reason, decided at)"""
    marketing_channel: str | None = None
    service_channel: str | None = None
    interests: tuple[str, ...] = ()
    interests_at: int = 0
    language: str | None = None
    time_zone: str | None = None
    referrals: tuple[int, ...] = ()
    acquisition_channel: str | None = None
    """Kept before `acquisition.won_by` told it from the touches: which came first hung on what arrived first."""
    touches: int = 0
    retention_cost_minor: int = 0
    service_cost_minor: int = 0
    acquisition_cost_minor: int = 0
    service_minutes: int = 0
    emails_delivered: int = 0
    emails_opened: int = 0
    emails_clicked: int = 0
    surveys: int = 0
    survey_sum_milli: int = 0
    simulated: int = 0
    currency: str = ""
    marketing_channel_at: int = 0
    service_channel_at: int = 0
    spell_considered: int = -1
    """The latest silent spell a retention offer was considered for: the day it began."""
    look_at: int = 0
    """When time alone can next move an open consideration, as the last look found."""
    looked_under: int = 0
    """The policy of the last look, in short: another one means looking again."""
    sends_milli: int = 0
    """What e-mails to them cost, and a person's time with them, in thousandths of a minor unit."""
    service_time_milli: int = 0
    touched: tuple[Touched, ...] = ()
    """The touches that may have had a part in winning them."""
    referrer: str = ""
    """Who sent them, by the earliest referral, and when that was."""
    referrer_at: int = 0
    friends: tuple[int, ...] = ()
    """Short marks of whom they sent and who was told so."""
    credited_minor: tuple[int, ...] = ()
    """What friends brought, friends of friends, and theirs."""
    credits: tuple[Credit, ...] = ()
    """The same by path, the latest new ones: to be told to a referrer who becomes known."""
    brought_told_minor: int = 0
    """What the referrer was told that they brought themselves."""
    pace: Pace | None = None
    """None before a model or a purchase: then the policy's days count."""
    standing: Standing | None = None
    """None before a purchase, a forecast and a population to be measured by."""
    needs: Needs = Needs()
    dealings: Dealings = Dealings()
    messages: int = 0
    """E-mails to them that needed their consent."""
    rewards: tuple[Reward, ...] = ()
    """Their referrals, the latest ones, and what they were given for them."""

    @property
    def sold_at(self) -> int:
        """When sales last dealt with them well, as far as contacts and orders that have folded tell; 0: never.

        Where nothing else has been kept, the latest folded order stands for it: as with most.
        """
        if self.sales_at:
            return self.sales_at if self.sales_at > NEVER_WELL else 0
        ledger = self.ledger
        is_kept = not ledger.folded_refunded_minor or ledger.folded_refunded_minor < ledger.folded_revenue_minor
        return ledger.folded_last_at if is_kept else 0


NEVER_WELL: Final = 1
"""In place of an instant of `sales_at`: orders have folded, and none showed that sales dealt with them well."""
EVENT_MARKS_MAX: Final = 32
ENTRIES_MAX: Final = 64
KINDS_MAX: Final = 8
"""Categories kept of an order's lines, and of those that a refund names."""
FOLDED_MARKS_MAX: Final = 16
DAYS_MAX: Final = 32
CONSENTS_MAX: Final = 24
CONSIDERATIONS_MAX: Final = 16
MESSAGES_MAX: Final = 16
"""The largest cap a policy may set; a customer's wish for more counts as one for so many."""
MESSAGES_WINDOW_DAYS_MAX: Final = 31
"""The longest time a policy's cap may look back; at least a month of a customer's wish."""
TOUCHES_MAX: Final = 16
FRIENDS_MAX: Final = 16
CREDITS_MAX: Final = 16
REFERRALS_MAX: Final = 32
INTERESTS_MAX: Final = 16
CATEGORIES_MAX: Final = 16
ANSWERS_MAX: Final = 10
QUARTERS_KEPT: Final = 4
"""Counts by quarter reach so far back, the running one included."""
MONTH_ENDS_MAX: Final = 13
SAID_MAX: Final = 8
"""Of surveys, reviews and mentions, the latest of each."""
DELIVERIES_MAX: Final = 8
CASES_MAX: Final = 8
LET_GO_MAX: Final = 8
COMPLAINTS_MAX: Final = 16
"""Of open complaints, more are kept than of other cases."""
UNPROMISED_MAX: Final = 4
"""Of the deliveries, those that no promise is known of yet."""
UNCONSENTED_MAX: Final = 4
