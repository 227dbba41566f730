"""Who may do what on Kafka: the rights that each role of Wafa needs, as Kafka names them, and no more.

The docs' table is made from these rows. A test grants each role its own on a broker with an authoriser, runs them all,
and compares what the broker was asked for with what stands here: nothing is refused, nothing is granted in vain.

READ, WRITE, DELETE and ALTER bring DESCRIBE along, ALTER_CONFIGS brings DESCRIBE_CONFIGS: what comes along is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pipeline import topics
from pipeline.settings import LOG_TOPICS, Settings
from pipeline.topics import Topic

Resource = Literal["Topic", "Group", "TransactionalId"]


@dataclass(frozen=True, slots=True)
class Granted:
    """One entry of Kafka's access control list, but for the user."""

    resource: Resource
    name: str
    is_prefix: bool
    operation: str


@dataclass(frozen=True, slots=True)
class Right:
    """Operations on things of one kind.

    In a name, `{topics}` is WAFA_TOPICS_PREFIX and `{app}` WAFA_WORKER_APP_ID; one that ends in `*` is a prefix.
    """

    resource: Resource
    names: tuple[str, ...]
    operations: tuple[str, ...]
    about: str = ""

    def granted(self, settings: Settings) -> list[Granted]:
        """The entries that grant it, by the names these settings lead to."""
        full = [name.format(topics=settings.topics_prefix, app=settings.worker_app_id) for name in self.names]
        return [
            Granted(self.resource, name.removesuffix("*"), name.endswith("*"), operation)
            for name in full
            for operation in self.operations
        ]


@dataclass(frozen=True, slots=True)
class Role:
    """A process, a command or somebody outside, and all it needs."""

    name: str
    rights: tuple[Right, ...]

    def granted(self, settings: Settings) -> list[Granted]:
        """Every entry that this role needs."""
        return [each for right in self.rights for each in right.granted(settings)]


def _name(topic: Topic) -> str:
    """Those that `wafa repartition` writes anew go by a prefix: their names change with the partition count."""
    return "{topics}" + topic.name + ("*" if topic.name in LOG_TOPICS else "")


def _may(operations: str, *wanted: Topic, about: str = "") -> Right:
    return Right("Topic", tuple(map(_name, wanted)), tuple(operations.split()), about)


_READERS: Final = Right("Group", ("wafa-reader-*",), ("DESCRIBE",))
"""Who reads by hand names such a group, since the client wants one and looks for it, and joins none."""
_WORKERS: Final = ("{app}", "{app}-doors", "{app}-customers")
"""The groups of workers, one for each WAFA_WORKER_ROLE."""
_SEES_WORKERS: Final = Right("Group", _WORKERS, ("DESCRIBE",))
"""Whether workers run, and how far they have come."""
_INPUTS: Final = (
    *topics.SOURCES, topics.UNIDENTIFIED_EVENTS, topics.CONTROLS, topics.MENTIONS, topics.CUSTOMER_EVENTS,
)  # fmt: skip
_MAY_BE_LOST: Final = tuple(topic for topic in _INPUTS if topic is not topics.CUSTOMER_EVENTS)
_POSITIONS: Final = (topics.POSITIONS, topics.IDENTITIES, topics.REPUTATION)
_CHANGELOGS: Final = (topics.POSITIONS, topics.IDENTITIES, topics.CUSTOMER_STATE, topics.REPUTATION)
_ALL: Final = ("{topics}*",)

ROLES: Final = (
    Role(
        "`wafa worker`",
        (
            _may("DESCRIBE_CONFIGS", *topics.TOPICS, about="checked at the start"),
            _may("READ", *topics.SOURCES),
            _may("READ WRITE", *(topic for topic in _INPUTS if topic not in topics.SOURCES), *_CHANGELOGS),
            _may(
                "WRITE", topics.TRIGGERS, topics.DECISIONS, topics.PROFILES, topics.ADDRESSES, topics.TEXTS,
                topics.SHOP_COSTS, topics.DEAD_LETTERS,
            ),
            Right("Group", _WORKERS, ("READ",), "its role's; it looks whether anybody is in the others'"),
            _READERS,
            Right("TransactionalId", ("{app}-*",), ("WRITE",), "one for each task"),
        ),
    ),
    Role("`wafa views`", (_may("READ", topics.PROFILES, topics.TRIGGERS, topics.REPUTATION), _READERS)),
    Role(
        "`wafa analyst`",
        (
            _may("READ", topics.CUSTOMER_STATE, topics.CUSTOMER_EVENTS, topics.SHOP_COSTS),
            _may("WRITE", topics.CONTROLS),
            _READERS,
        ),
    ),
    Role(
        "`wafa spend`",
        (_may("READ", topics.CUSTOMER_STATE, topics.SHOP_COSTS), _may("WRITE", topics.CONTROLS), _READERS),
    ),
    Role(
        "`wafa fit`, `wafa tiers`, `wafa affinity`",
        (_may("READ", topics.CUSTOMER_STATE), _may("WRITE", topics.CONTROLS), _READERS),
    ),
    Role("`wafa topics check`", (Right("Topic", _ALL, ("DESCRIBE", "DESCRIBE_CONFIGS")),)),
    Role("`wafa topics create`", (Right("Topic", _ALL, ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS")),)),
    Role("`wafa topics create --fix`", (Right("Topic", _ALL, ("CREATE", "DESCRIBE", "ALTER_CONFIGS")),)),
    Role("`wafa policy show`", (_may("READ", topics.CONTROLS), _READERS)),
    Role(
        "`wafa policy adopt`",
        (
            _may("READ WRITE", topics.CONTROLS),
            _may("DESCRIBE", *topics.SOURCES, about="whether the log has begun, where the policy has another zone"),
            _READERS,
        ),
    ),
    Role(
        "`wafa customer`",
        (_may("READ", topics.IDENTITIES, topics.PROFILES, topics.CUSTOMER_EVENTS, topics.DECISIONS), _READERS),
    ),
    Role("`wafa books`", (_may("READ", topics.CUSTOMER_STATE, topics.CUSTOMER_EVENTS), _READERS)),
    Role("`wafa report`", (_may("READ", topics.CUSTOMER_STATE, topics.CUSTOMER_EVENTS, topics.SHOP_COSTS), _READERS)),
    Role("`wafa triggers`", (_may("READ", topics.TRIGGERS), _READERS)),
    Role("`wafa lag`", (_may("DESCRIBE", *_INPUTS), _SEES_WORKERS)),
    Role("`wafa lost`", (_may("DESCRIBE", *_MAY_BE_LOST), _may("READ", *_POSITIONS), _READERS)),
    Role(
        "`wafa lost --accept`",
        (
            _may("DESCRIBE", *_MAY_BE_LOST),
            _may("READ WRITE", *_POSITIONS),
            _SEES_WORKERS,
            _READERS,
            Right("TransactionalId", ("{app}-*",), ("WRITE",)),
        ),
    ),
    Role(
        "`wafa rebuild --check`",
        (
            _may("READ", topics.CUSTOMER_EVENTS, topics.CUSTOMER_STATE),
            _may("READ", topics.PROFILES, about="where a changelog was lost"),
            _READERS,
        ),
    ),
    Role(
        "`wafa rebuild`",
        (
            _may("READ DESCRIBE_CONFIGS", topics.CUSTOMER_EVENTS),
            _may("READ WRITE", topics.CUSTOMER_STATE),
            _may("READ", topics.PROFILES, about="where a changelog was lost"),
            _SEES_WORKERS,
            _READERS,
            Right("TransactionalId", ("{app}-customers-*",), ("WRITE",)),
        ),
    ),
    Role(
        "`wafa repartition`",
        (
            _may("CREATE READ WRITE DELETE ALTER_CONFIGS", topics.CUSTOMER_EVENTS, topics.CUSTOMER_STATE),
            _SEES_WORKERS,
            _READERS,
        ),
    ),
    Role(
        "`wafa redrive`",
        (
            _may("READ", topics.DEAD_LETTERS),
            _may("WRITE", *topics.SOURCES, topics.CUSTOMER_EVENTS, about="where the letters came from"),
            Right("Group", ("{app}-redrive*",), ("READ",)),
            Right("TransactionalId", ("{app}-redrive*",), ("WRITE",)),
        ),
    ),
    Role(
        "publishers, `wafa publish`",
        (_may("WRITE", *topics.SOURCES, about="their own; `wafa publish` needs DESCRIBE on the others"),),
    ),
    Role(
        "marketing automation",
        (_may("READ", topics.TRIGGERS), Right("Group", ("marketing-automation",), ("READ",), "whatever it is called")),
    ),
)  # fmt: skip
"""Every role, and what it needs."""
