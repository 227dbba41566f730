"""The customers' log under another partition count: a new log and a new changelog, the old ones sealed and kept.

Every customer's events keep their order, among themselves and among the controls (`recutting`), which is all that
their state hangs on; so their state is copied as it is, to the byte.

Why a crash does no harm, wherever it is: the old log and changelog are only read. First the broker is told to take no
record on them any more (*sealed*); the new topics are drafts, and no worker starts beside a sealed log, nor beside two
logs; last, with everything verified, one setting of one topic (*retired*) says that the new ones are in force. Begun
again, it throws the drafts away and starts over; abandoned, it throws them away and unseals.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from pipeline import topics
from pipeline.admin import RETIRED, SEALED, Admin
from pipeline.rebuilding import need_no_worker
from pipeline.recutting import CannotRepartition, Old, OnProgress, copy_log, copy_state, verify_log
from pipeline.replaying import Bounds, all_bounds
from pipeline.settings import LOG_TOPICS, Settings

PARTITIONS_MAX: Final = 1_000
_SETTLE_SECONDS: Final = 120.0
"""How long to wait for transactions that dead workers left open: the broker ends them in time."""
_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Repartitioned:
    """What was done."""

    events: int
    customers: int
    old_topics: tuple[str, ...]


def repartition(settings: Settings, count: int, *, on_progress: OnProgress) -> Repartitioned:
    """Write log and changelog with `count` partitions, verify them, and put them in force. No worker may run.

    Raises CannotRepartition, CannotRebuild (workers run), BrokerRefused, LogSilent, BadChangelog and KafkaException;
    until the last moment the old log is the one in force.
    """
    target = _target(settings, count)
    with Admin(settings) as admin, Admin(target) as new_admin:
        _need_right_topics(settings, admin, target)
        need_no_worker(settings)
        _seal(settings, admin, SEALED)
        try:
            done = _written(settings, target, admin, new_admin, on_progress)
        except CannotRepartition:  # the old log and changelog are as they were: back to them
            _delete_drafts(admin, target)
            _seal(settings, admin, None)
            raise
        admin.seal(settings.topic(LOG_TOPICS[0]), RETIRED)
    return done


def _written(
    settings: Settings, target: Settings, admin: Admin, new_admin: Admin, on_progress: OnProgress
) -> Repartitioned:
    """Everything but the word that it is in force."""
    _delete_drafts(admin, target)
    ends = _settled(settings)
    new_admin.make_log()
    old = [Old.read(settings, partition) for partition in range(settings.log_partitions)]
    laid = copy_log(settings, target, old, ends[LOG_TOPICS[0]], on_progress)
    verify_log(target, laid, on_progress)
    customers = copy_state(settings, target, old, laid, on_progress)
    if _ends(settings, committed_only=False) != ends:
        raise CannotRepartition(
            "somebody wrote to the log or its changelog meanwhile: stop every worker, and try again"
        )
    return Repartitioned(
        sum(each.count for each in laid), customers, tuple(settings.topic(name) for name in LOG_TOPICS)
    )


def abandon(settings: Settings) -> None:
    """Give an unfinished repartition up: its drafts are deleted, and the log of the settings' count is in use again."""
    with Admin(settings) as admin:
        if not _is_sealed(settings, admin):
            raise CannotRepartition(
                f"{settings.topic(LOG_TOPICS[0])} is not sealed: no repartition of it is under way, or "
                "WAFA_LOG_PARTITIONS is not the count it began from"
            )
        _delete_drafts(admin, settings)
        _seal(settings, admin, None)


def _delete_drafts(admin: Admin, target: Settings) -> None:
    """While the log is sealed, whatever other log is not retired is a draft of ours; so is half a draft."""
    drafts = {name for log in admin.other_logs() for name in (log, log.replace(*LOG_TOPICS))}
    halves = {name for name in map(target.topic, LOG_TOPICS) if name not in map(admin.settings.topic, LOG_TOPICS)}
    admin.delete(sorted(drafts | halves))


def _is_sealed(settings: Settings, admin: Admin) -> bool:
    """Either is: sealing them takes two steps."""
    return SEALED in [admin.use_of(settings.topic(name)) for name in LOG_TOPICS]


# -- before ------------------------------------------------------------------------------------------------------------


def _target(settings: Settings, count: int) -> Settings:
    if not 1 <= count <= PARTITIONS_MAX:
        raise CannotRepartition(f"partitions: expected 1 to {PARTITIONS_MAX}, got {count}")
    if count == settings.log_partitions:
        raise CannotRepartition(f"the log has {count} partitions already (WAFA_LOG_PARTITIONS)")
    return settings.model_copy(update={"log_partitions": count})


def _need_right_topics(settings: Settings, admin: Admin, target: Settings) -> None:
    """The log is in use, and there is no other; or it is sealed, and what others there are are our drafts."""
    log = settings.topic(LOG_TOPICS[0])
    states = admin.topic_states((topics.CUSTOMER_EVENTS, topics.CUSTOMER_STATE))
    for name, state in states.items():
        if state.partitions != settings.log_partitions:
            raise CannotRepartition(f"{name}: expected {settings.log_partitions} partitions, got {state.partitions}")
    if admin.use_of(log) == RETIRED:
        raise CannotRepartition(f"{log} is retired: set WAFA_LOG_PARTITIONS to the count the log has now")
    others, is_sealed = admin.other_logs(), _is_sealed(settings, admin)
    if others and not is_sealed:
        raise CannotRepartition(
            f"{', '.join(others)}: another log, not of an unfinished repartition; which one is right?"
        )
    there = [name for name in map(target.topic, LOG_TOPICS) if name not in others and admin.is_there(name)]
    if there and (not is_sealed or admin.use_of(target.topic(LOG_TOPICS[0])) == RETIRED):
        raise CannotRepartition(
            f"{', '.join(there)}: there already, of an earlier repartition. Delete what you no longer want, first"
        )


def _seal(settings: Settings, admin: Admin, use: str | None) -> None:
    names = [settings.topic(name) for name in LOG_TOPICS]
    for name in names if use is None else reversed(names):
        admin.seal(name, use)


def _ends(settings: Settings, *, committed_only: bool) -> dict[str, list[int]]:
    return {name: [each.high for each in _bounds(settings, name, committed_only=committed_only)] for name in LOG_TOPICS}


def _bounds(settings: Settings, name: str, *, committed_only: bool) -> list[Bounds]:
    return all_bounds(settings, settings.topic(name), range(settings.log_partitions), committed_only=committed_only)


def _settled(settings: Settings) -> dict[str, list[int]]:
    """Where the sealed topics end, once no transaction is open on them."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (ends := _ends(settings, committed_only=False)) != _ends(settings, committed_only=True):
        if time.monotonic() > deadline:
            raise CannotRepartition(f"a transaction is open on the log or its changelog, for {_SETTLE_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
    for partition, bounds in enumerate(_bounds(settings, LOG_TOPICS[0], committed_only=True)):
        if bounds.low:
            raise CannotRepartition(
                f"{settings.topic(LOG_TOPICS[0])}[{partition}] begins at {bounds.low}, not at 0: what came before is "
                "gone"
            )
    return ends
