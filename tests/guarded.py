"""A Kafka with an authoriser: users sign in by SCRAM, may do what they were granted, and all they ask is written down.

Tests and the broker itself are nobody in particular on the plain listener, and may do everything.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from pipeline.local.kafka import KafkaServer, resolve_kafka
from pipeline.local.process import LOOPBACK, free_port
from pipeline.rights import Granted, Resource
from tests.conftest import QUICK_FAILOVER

Binding = TypeVar("Binding", AclBinding, AclBindingFilter)

_JAVA: Final = (
    "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug",
)  # fmt: skip
_ASKED: Final = re.compile(
    r"Principal = User:(?P<user>\S+) is (?P<answer>Allowed|Denied) operation = (?P<operation>\w+) from host = \S+ "
    r"on resource = (?P<resource>\w+):LITERAL:(?P<name>\S+) for request = (?P<request>\w+) "
)
_RULE: Final = re.compile(
    r"StandardAcl\(resourceType=(?P<resource>\w+), resourceName=(?P<name>[^,]*), patternType=(?P<pattern>\w+), "
    r"principal=User:[^,]*, host=\*, operation=(?P<operation>\w+), permissionType=ALLOW\)"
)
_TYPES: Final[dict[Resource, ResourceType]] = {
    "Topic": ResourceType.TOPIC, "Group": ResourceType.GROUP, "TransactionalId": ResourceType.TRANSACTIONAL_ID,
}  # fmt: skip
_RESOURCES: Final[dict[str, Resource]] = {
    "TOPIC": "Topic", "GROUP": "Group", "TRANSACTIONAL_ID": "TransactionalId",
}  # fmt: skip


def listeners(plain: int, mechanism: str, login: str) -> dict[str, str]:
    """The settings of a broker that asks for a password on one listener and for nothing on the port `plain`."""
    sasl, controller = free_port(), free_port()
    advertised = f"PLAINTEXT://{LOOPBACK}:{plain},SASL_PLAINTEXT://{LOOPBACK}:{sasl}"
    return {
        "listeners": f"{advertised},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": advertised,
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": mechanism,
        f"listener.name.sasl_plaintext.{mechanism.lower()}.sasl.jaas.config": login,
    }


def sasl_address(settings: dict[str, str]) -> str:
    """Where a broker with these listeners asks for a password."""
    return settings["advertised.listeners"].rpartition("SASL_PLAINTEXT://")[2]


@dataclass(frozen=True, slots=True)
class Guarded:
    """The broker, and who may do what on it."""

    server: KafkaServer
    sasl: str
    admin: AdminClient

    def let_in(self, user: str, granted: Sequence[Granted]) -> dict[str, str]:
        """Make a user with these rights; the settings that sign in as them."""
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        new = UserScramCredentialUpsertion(user, scram, f"password of {user}".encode())
        for done in self.admin.alter_user_scram_credentials([new]).values():
            done.result(30)
        self.grant(user, granted)
        return {
            "WAFA_KAFKA_BOOTSTRAP_SERVERS": self.sasl,
            "WAFA_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "WAFA_KAFKA_SASL_USERNAME": user,
            "WAFA_KAFKA_SASL_PASSWORD": f"password of {user}",
        }

    def grant(self, user: str, granted: Sequence[Granted]) -> None:
        """Give a user more rights."""
        bindings = [_binding(AclBinding, user, each) for each in granted]
        if bindings:
            for done in self.admin.create_acls(bindings).values():
                done.result(30)
            self._wait_until_in_force(user, granted, is_granted=True)

    def take(self, user: str, granted: Sequence[Granted]) -> None:
        """Take rights from a user."""
        for done in self.admin.delete_acls([_binding(AclBindingFilter, user, each) for each in granted]).values():
            assert done.result(30), "there was such a right"
        self._wait_until_in_force(user, granted, is_granted=False)

    def _wait_until_in_force(self, user: str, granted: Sequence[Granted], *, is_granted: bool) -> None:
        """The controller takes a change, and the broker learns of it a little later."""
        filters = [_binding(AclBindingFilter, user, each) for each in granted]
        deadline = time.monotonic() + 30
        while not all(bool(self.admin.describe_acls(each).result(30)) is is_granted for each in filters):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def rights_used(self) -> dict[str, set[Granted]]:
        """By user: the entries on whose ground their very operation was allowed, not one that comes along with it."""
        used: dict[str, set[Granted]] = {}
        for asked, line in self._asked():
            rule = _RULE.search(line) if asked["answer"] == "Allowed" else None
            if rule is not None and rule["operation"] == asked["operation"]:
                entry = Granted(
                    _RESOURCES[rule["resource"]], rule["name"], rule["pattern"] == "PREFIXED", rule["operation"]
                )
                used.setdefault(asked["user"], set()).add(entry)
        return used

    def refused(self) -> dict[str, set[str]]:
        """By user: what was denied, as `OPERATION Resource:name (Request)`."""
        refused: dict[str, set[str]] = {}
        for asked, _ in self._asked():
            if asked["answer"] == "Denied":
                what = f"{asked['operation']} {asked['resource']}:{asked['name']} ({asked['request']})"
                refused.setdefault(asked["user"], set()).add(what)
        return refused

    def _asked(self) -> Iterator[tuple[re.Match[str], str]]:
        with self.server.log_path.open(encoding="utf-8", errors="replace") as log:
            for line in log:
                if asked := _ASKED.search(line):
                    yield asked, line


def _binding(kind: type[Binding], user: str, each: Granted) -> Binding:
    pattern = ResourcePatternType.PREFIXED if each.is_prefix else ResourcePatternType.LITERAL
    operation = AclOperation[each.operation]
    return kind(_TYPES[each.resource], each.name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)


@contextmanager
def run_guarded(folder: Path, cache: Path) -> Iterator[Guarded]:
    """A broker that asks who one is, and whether one may."""
    plain = free_port()
    settings = listeners(
        plain, "SCRAM-SHA-512", "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ) | {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        **QUICK_FAILOVER,
    }  # fmt: skip
    server = KafkaServer(folder, resolve_kafka(cache), port=plain, java_options=_JAVA, settings=settings)
    try:
        server.start()
        admin = AdminClient({"bootstrap.servers": server.bootstrap_servers, "log_level": 0})
        yield Guarded(server, sasl_address(settings), admin)
    finally:
        server.stop()
