"""What the pages say is what the code does: `python -m tests.test_docs` writes the generated parts of them anew.

A generated part stands between `<!-- made from the code: NAME -->` and `<!-- end -->`. Written by hand and held here:
the tree of modules, numbers of bounds, reasons, exit codes, log lines, links, commands with their options, settings,
metrics, Redis keys.
"""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

import click
import pytest
import typer

from pipeline import __main__ as command_line
from pipeline import metrics, topics, watchdog
from pipeline.analysis.report.figures import FIGURES
from pipeline.core import lifecycle, satisfaction, stage
from pipeline.core.decisions import Outcome
from pipeline.core.decisions import Reason as DecisionReason
from pipeline.core.policy import _BOUNDS, DEFAULT, to_dict
from pipeline.core.profile import Lifecycle, Stage, Tier
from pipeline.core.rfm import SEGMENT_OF, SEGMENTS
from pipeline.core.treatment import BUYER, PROSPECT
from pipeline.rights import ROLES, Resource, Right
from pipeline.schemas.dead_letters import Reason, header_schema
from pipeline.serving.keys import Keys
from pipeline.settings import Settings
from tests.core.test_stories import STORIES, VERBS, stories, told
from tests.test_metrics import registered
from tests.test_tidy import MAY_IMPORT

REPOSITORY: Final = Path(__file__).resolve().parents[1]
DOCS: Final = REPOSITORY / "docs"
PIPELINE: Final = REPOSITORY / "pipeline"
PAGES: Final = sorted(
    path
    for path in REPOSITORY.rglob("*.md")
    if not any(part.startswith(".") for part in path.relative_to(REPOSITORY).parts)
)
PART: Final = re.compile(r"<!-- made from the code: (?P<name>[\w-]+) -->\n(?P<text>.*?)<!-- end -->", re.DOTALL)


def page_id(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def rows(*lines: tuple[str, ...]) -> str:
    """A Markdown table; the first line is its head."""
    head, *body = lines
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ("---",) * len(head), *body)) + "\n"


def table(page: str, head: str) -> list[list[str]]:
    """The cells of a page's table whose first column is headed so."""
    text = (DOCS / page).read_text("utf-8").partition(f"| {head} |")[2].partition("\n\n")[0]
    found = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines()[2:]]
    assert found, f"{page}: no table headed {head}"
    return found


# -- what is generated -------------------------------------------------------------------------------------------------


def kept(topic: topics.Topic) -> str:
    if topic.cleanup == "compact":
        return "the latest of each key"
    assert topic.retention_ms is not None
    return "for ever" if topic.retention_ms == topics.FOREVER_MS else f"{topic.retention_ms // topics.DAY_MS} days"


def topics_table() -> str:
    lines = [
        (f"`crm.{topic.name}`", topic.key, str(topic.partitions), topic.cleanup, kept(topic),
         "restricted" if topic.restricted else "", topic.about)
        for topic in topics.TOPICS
    ]  # fmt: skip
    return rows(("Topic", "Key", "Partitions", "Cleanup", "Kept", "Access", "What it holds"), *lines)


def events_table() -> str:
    by_source: dict[str, list[str]] = {}
    for event, source in topics.SOURCE_OF_EVENT.items():
        by_source.setdefault(source, []).append(f"`{event}`")
    return rows(("Source", "Events"), *((f"`crm.{name}`", ", ".join(events)) for name, events in by_source.items()))


def topic_settings() -> str:
    lines = [
        (f"`crm.{topic.name}`", ", ".join(f"`{name}={value}`" for name, value in sorted(topic.broker_config().items())))
        for topic in topics.TOPICS
    ]
    return rows(("Topic", "Settings that `wafa topics` makes and checks"), *lines)


def in_days(seconds: int) -> str:
    return f"{seconds // 86_400} days"


def lifecycle_diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Lifecycle.PROSPECT.label}: first heard of"]
    for state, (to, reason) in lifecycle.ON_PURCHASE.items():
        lines.append(f"    {state.label} --> {to.label}: {reason}")
    for state, (to, reason) in lifecycle.ON_SILENCE.items():
        limit = lifecycle.limit_of(state, DEFAULT)
        assert limit is not None
        lines.append(f"    {state.label} --> {to.label}: {reason} ({in_days(limit)})")
    to, reason = lifecycle.ON_VOID
    lines += [f"    {state.label} --> {to.label}: {reason}" for state in Lifecycle if state is not to]
    return "\n".join([*lines, "```"]) + "\n"


def lifecycle_table() -> str:
    void, why = lifecycle.ON_VOID
    lines = []
    for state in Lifecycle:
        bought, bought_why = lifecycle.ON_PURCHASE[state]
        silence = "-"
        if state in lifecycle.ON_SILENCE:
            limit = lifecycle.limit_of(state, DEFAULT)
            assert limit is not None
            to, reason = lifecycle.ON_SILENCE[state]
            silence = f"`{to.label}` after {in_days(limit)} (`{reason}`)"
        cancelled = "-" if state is void else f"`{void.label}` (`{why}`)"
        lines.append((f"`{state.label}`", f"`{bought.label}` (`{bought_why}`)", silence, cancelled))
    return rows(("Now", "They buy", "They stay silent", "Every purchase is cancelled"), *lines)


EVIDENCE: Final = {
    stage.is_known_of_late: "we know who they are and a need of theirs, not too old to be used, and they answered a "
    "message made from it",
    stage.is_known: "then it may be older",
    stage.is_worked_on_together: "they bought, and {departments_for_collaborative} of marketing, sales and service "
    "have dealt with them well in the last cycle (of {cycle_days} days at least)",
    stage.is_still_worked_on: "then {departments_to_keep} is enough to keep it",
    stage.is_loyal: "a purchase in each of the last {cycles_for_bonded} cycles, no complaint open",
    stage.is_still_loyal: "an open complaint by itself does not end it",
}
"""Each kind of evidence in words; the numbers are the policy's."""


def stage_table() -> str:
    numbers = to_dict(DEFAULT)["stage"]
    lines, before = [], None
    for each in Stage:
        of_before = () if before is None else stage.HOLDS[before]
        for mine, below in zip(stage.HOLDS[each], of_before, strict=False):
            assert mine in (below, stage.TO_KEEP.get(below)), "a stage asks for all that keeps the one below it"
        of_own = stage.HOLDS[each][len(of_before) :]
        needed = [EVIDENCE[evidence].format(**numbers) for evidence in of_own]
        needed += [
            EVIDENCE[stage.TO_KEEP[evidence]].format(**numbers) for evidence in of_own if evidence in stage.TO_KEEP
        ]
        if before is not None and of_before:
            needed.insert(0, f"what `{before.label}` asks for")
        lines.append((f"`{each.label}`", "; ".join(needed) or "nothing: we have heard of them", stage.REASONS[each]))
        before = each
    return rows(("Stage", "What must hold, to reach it and to keep it", "Reason given"), *lines)


def stage_diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {Stage(0).label}: {stage.REASONS[Stage(0)]}"]
    for lower, upper in zip(Stage, list(Stage)[1:], strict=False):
        lines.append(f"    {lower.label} --> {upper.label}: {stage.REASONS[upper]}")
        lines.append(f"    {upper.label} --> {lower.label}: {stage.FALL_REASON} ({stage.FAILED_CHECKS_MAX} checks)")
    return "\n".join([*lines, "```"]) + "\n"


def scores_table() -> str:
    lines = [(name.replace("_", " "), f"{score:g}") for name, score in satisfaction.SCORES.items()]
    return rows(("What became of it", "Score"), *lines)


def rules_table() -> str:
    rules = to_dict(DEFAULT)["rules"]
    fields = list(dict.fromkeys(name for rule in rules.values() for name in rule))
    lines = [(f"`{name}`", *(str(rule.get(name, "-")) for rule in rules.values())) for name in fields]
    return rows(("", *(f"`{name}`" for name in rules)), *lines)


def policy_table() -> str:
    document = to_dict(DEFAULT)
    lines = []
    for path, (low, high) in _BOUNDS.items():
        section, name = path.split(".")
        lines.append((f"`{path}`", str(document[section][name]), f"{low} to {high}"))
    return rows(("Setting", "Default", "May be"), *lines)


def figures_table() -> str:
    lines = [
        (figure.words, figure.about, f"`{name}`", figure.kind)
        for name, figure in FIGURES.items()
        if not name.startswith("month_")
    ]
    return rows(("Figure", "What it is", "In files", "Kind"), *lines)


def imports_table() -> str:
    lines = [
        (f"`{part}`", ", ".join(f"`{other}`" for other in sorted(allowed - {part})) or "nothing of ours")
        for part, allowed in MAY_IMPORT.items()
    ]
    return rows(("Part of `pipeline/`", "May import"), *lines)


def treatments_table() -> str:
    tiers = (Tier.MVC, Tier.MGC, Tier.REST, Tier.BZ)
    lines = [
        (f"`{stage.label}`", PROSPECT[stage].label, *(BUYER[stage, tier].label for tier in tiers)) for stage in Stage
    ]
    return rows(("Stage", "Has not bought", *(f"`{tier.label}`" for tier in tiers)), *lines)


def rfm_table() -> str:
    cells = Counter(SEGMENT_OF.values())

    def span(low: int, high: int) -> str:
        return str(low) if low == high else f"{low} to {high}"

    lines = [(f"`{segment}`", *(span(*each) for each in bounds), str(cells[segment])) for segment, *bounds in SEGMENTS]
    return rows(("Segment", "Recency", "Frequency", "Monetary", "Cells"), *lines)


def rights_table() -> str:
    """A line a role."""

    def told(right: Right) -> str:
        names = ", ".join(f"`{name.format(topics='crm.', app='wafa')}`" for name in right.names)
        names = names.replace(", ".join(f"`crm.{source.name}`" for source in topics.SOURCES), "the six sources")
        return f"{', '.join(right.operations)}: {names}" + (f" ({right.about})" if right.about else "")

    lines = []
    for role in ROLES:
        cells = [[told(right) for right in role.rights if right.resource == each] for each in get_args(Resource)]
        lines.append((role.name, *("<br>".join(cell) or "-" for cell in cells)))
    return rows(("Who", *get_args(Resource)), *lines)


GENERATED: Final[dict[str, Callable[[], str]]] = {
    "topics": topics_table,
    "events": events_table,
    "topic-settings": topic_settings,
    "lifecycle-diagram": lifecycle_diagram,
    "lifecycle-table": lifecycle_table,
    "stage-diagram": stage_diagram,
    "stage-table": stage_table,
    "satisfaction-scores": scores_table,
    "rules": rules_table,
    "policy": policy_table,
    "treatments": treatments_table,
    "rfm": rfm_table,
    "imports": imports_table,
    "figures": figures_table,
    "rights": rights_table,
}


def renewed(text: str) -> str:
    """A page with its generated parts as the code has them."""
    return PART.sub(
        lambda part: f"<!-- made from the code: {part['name']} -->\n\n{GENERATED[part['name']]()}\n<!-- end -->", text
    )


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_generated_parts_are_as_the_code_has_them(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text == renewed(text), "run: python -m tests.test_docs"


def test_every_generated_part_is_on_a_page() -> None:
    assert {part["name"] for page in PAGES for part in PART.finditer(page.read_text("utf-8"))} == set(GENERATED)


# -- numbers, reasons, codes -------------------------------------------------------------------------------------------


def test_the_tree_has_every_module_and_every_package_of_ours_once() -> None:
    """Those of one kind stand together: `telling*.py`."""
    tree = (DOCS / "architecture.md").read_text("utf-8").partition("## The tree")[2].split("```")[1]
    drawn = tree.partition("pipeline/")[2].partition("\nbench/")[0]
    named = re.findall(r"[\w*]+\.py|\w+/(?=  )", drawn)
    assert len(named) == len(set(named))
    ours = {path.name for path in PIPELINE.glob("*.py")} - {"__init__.py"}
    ours |= {f"{path.parent.name}/" for path in PIPELINE.glob("*/__init__.py")}
    assert [name for name in ours if not any(fnmatch(name, each) for each in named)] == []
    assert [each for each in named if not any(fnmatch(name, each) for name in ours)] == []


UNITS: Final = {
    "": 1, "KiB": 1024, "MiB": 1024**2, "ms": 0.001, "s": 1, "min": 60, "h": 3_600,
    "day": 86_400, "days": 86_400, "%": 0.01,
}  # fmt: skip


def constant(name: str) -> float:
    """The value of `part.module.NAME`, or the default of a setting, as a number (durations: seconds)."""
    if name.startswith("WAFA_"):
        value: Any = Settings.model_fields[name.removeprefix("WAFA_").lower()].default
    else:
        module, _, attribute = name.rpartition(".")
        value = getattr(importlib.import_module(f"pipeline.{module}"), attribute)
    if isinstance(value, tuple):
        value = value[-1]
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def shown(text: str) -> set[float]:
    """What a number with its unit may mean: `90 days` is 90 of a constant named so, or its seconds."""
    number, _, unit = text.replace(",", "").partition(" ")
    return {round(float(number), 9), round(float(number) * UNITS[unit], 9)}


@pytest.mark.parametrize("row", table("architecture.md", "What is bounded"), ids=lambda row: row[0])
def test_a_bound_is_the_constant_it_names(row: list[str]) -> None:
    _, bound, where, _ = row
    (name,) = re.findall(r"`([\w.]+)`", where)
    assert round(constant(name), 9) in shown(bound)


def test_every_cache_is_bounded_by_a_constant_that_is_told() -> None:
    """The page says that every cache has a bound there; those of `lru_cache` are found by reading the source."""
    bounds = set()
    for path in sorted(PIPELINE.rglob("*.py")):
        module = ".".join(path.relative_to(PIPELINE).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("lru_cache"):
                bounds |= {f"{module}.{ast.unparse(each.value)}" for each in node.keywords if each.arg == "maxsize"}
    told = {name for row in table("architecture.md", "What is bounded") for name in re.findall(r"`([\w.]+)`", row[2])}
    assert len(bounds) > 8
    assert sorted(bounds - told) == []


def test_every_reason_of_a_decision_is_told_with_the_outcomes_the_stories_have() -> None:
    told_in_docs = {
        (outcome, reason.strip("`"))
        for reason, outcomes, _ in table("relationship.md", "Reason")
        for outcome in re.findall(r"\w+", outcomes)
    }
    assert {outcome for outcome, _ in told_in_docs} == set(Outcome)
    assert {reason for _, reason in told_in_docs} == set(DecisionReason)
    outcome_of = {verb: outcome for outcome, verb in VERBS.items()}
    seen = {
        (outcome_of[words[0]], words[2])
        for story in stories()
        for _, _, follows in told(story)
        for words in map(str.split, follows)
        if words[0] in outcome_of and words[0] != "sends"
    }
    assert len(seen) > 8
    assert seen <= told_in_docs


def test_a_story_on_a_page_is_one_that_is_tested() -> None:
    tested = "\n".join(path.read_text("utf-8") for path in sorted(STORIES.glob("*.txt")))
    text = (DOCS / "relationship.md").read_text("utf-8")
    quoted = re.findall(r"^```story\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert quoted
    assert [story for story in quoted if story not in tested + "\n"] == []


def test_every_reason_of_a_dead_letter_has_a_remedy() -> None:
    told_in_docs = [cell.strip("`") for cell, *_ in table("operations/runbook.md", "Reason")]
    assert sorted(told_in_docs) == sorted(Reason)


def test_every_exit_code_is_told() -> None:
    told_in_docs = {int(code.strip("`")) for code, _ in table("operations/README.md", "Exit code")}
    codes = {
        0, command_line.REFUSED, command_line.BAD_INPUT, command_line.UNREACHABLE, command_line.INTERRUPTED,
        watchdog.STALLED_EXIT_CODE, watchdog.UNREACHABLE_EXIT_CODE,
    }  # fmt: skip
    assert told_in_docs == codes
    for code in codes:
        assert re.search(rf"\b{code}\b", command_line.__doc__ or "")
        assert re.search(rf"\b{code}\b", ROOT.help or "")


@cache
def texts_of_the_code() -> frozenset[str]:
    """Every text that stands in the code."""
    return frozenset(
        node.value
        for path in PIPELINE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


@pytest.mark.parametrize("row", table("operations/runbook.md", "Log line"), ids=lambda row: row[0])
def test_a_log_line_told_is_one_that_is_said(row: list[str]) -> None:
    assert row[0].strip("`") in texts_of_the_code()


def test_every_key_in_redis_is_told() -> None:
    keys = Keys("wafa:")
    wanted = {getattr(keys, name) for name, kind in vars(Keys).items() if isinstance(kind, property)}
    wanted |= {keys.profile("<customer id>"), keys.triggers_of("<customer id>"), keys.reputation("<day>")}
    assert {row[0].strip("`") for row in table("operations/redis.md", "Key")} == wanted


# -- links, commands, names --------------------------------------------------------------------------------------------

LINK: Final = re.compile(r"\]\((?P<target>[^)\s]+)\)")
FENCE: Final = re.compile(r"^(```|~~~)(?P<kind>\S*)[^\n]*\n(?P<text>.*?)^\1", re.MULTILINE | re.DOTALL)
CODE: Final = re.compile(r"(?<!`)`(?P<text>[^`\n]+)`(?!`)")
WORD_END: Final = re.compile(r"[|&;<>#]|\.\.\.|…")


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text("utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(path: Path) -> Iterator[tuple[str, str]]:
    """(file or nothing, anchor or nothing) of every relative link."""
    for found in LINK.finditer(FENCE.sub("", path.read_text("utf-8"))):
        target = found["target"]
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            yield file, anchor


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for file, anchor in links(page):
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(f"{file}#{anchor}" if anchor else file)
    assert broken == []


def test_every_page_is_on_the_index() -> None:
    index = DOCS / "README.md"
    linked = {(DOCS / file).resolve() for file, _ in links(index) if file}
    missing = [page_id(page) for page in DOCS.rglob("*.md") if page != index and not linked & {page, page.parent}]
    assert missing == []


def commands(path: Path) -> Iterator[list[str]]:
    """Every `wafa ...` that a page tells to type: the words behind `wafa`."""
    text = path.read_text("utf-8")
    lines = [
        line.removeprefix("$ ")
        for fence in FENCE.finditer(text)
        if fence["kind"] in ("", "sh", "console", "bash")
        for line in re.sub(r"\\\n\s*", " ", fence["text"]).splitlines()
    ]
    lines += [code["text"] for code in CODE.finditer(FENCE.sub("", text))]
    for line in lines:
        found = re.match(r"(?:[A-Z_]+=\S+ )*(?:\S*/)?wafa (?P<words>.+)", line.strip())
        if found:
            yield shlex.split(WORD_END.split(re.split(r" {2,}", found["words"])[0])[0])


ROOT: Final = typer.main.get_command(command_line.app)


def problems_of(words: list[str]) -> list[str]:
    """What of a command does not exist."""
    command: Any = ROOT
    words = list(words)
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        if not words:
            return []
        name = words.pop(0)
        if name.startswith("-"):
            return [] if name == "--help" else [f"option {name}"]
        if name not in command.commands:
            return [f"command {name}"]
        command = command.commands[name]
    options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
    return [
        f"{command.name} {word}"
        for word in words
        if word.startswith("-") and word != "-" and word.partition("=")[0] not in options
    ]


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_told_exists_with_its_options(page: Path) -> None:
    assert [problem for words in commands(page) for problem in problems_of(words)] == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert problems_of(["frobnicate"]) == ["command frobnicate"]
    assert problems_of(["topics", "burn"]) == ["command burn"]
    assert problems_of(["redrive", "--because", "x"]) == ["redrive --because"]
    assert problems_of(["publish", "-", "--map", "a=b"]) == []


def test_commands_settings_and_metrics_are_found_on_the_pages() -> None:
    """Else the tests around here would look at nothing."""
    assert len({tuple(words) for page in PAGES for words in commands(page)}) > 20
    assert sum(len(list(links(page))) for page in PAGES) > 80


def test_every_command_is_told_to_operators() -> None:
    said = {" ".join(words[:2]) for words in commands(DOCS / "operations/README.md")}
    for name, command in ROOT.commands.items():
        wanted = [f"{name} {part}" for part in command.commands] if hasattr(command, "commands") else [name]
        for each in wanted:
            assert any(words == each or words.startswith(f"{each} ") for words in said), each


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_setting_named_exists(page: Path) -> None:
    settings = {f"WAFA_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"\bWAFA_[A-Z][A-Z_]*[A-Z]\b", page.read_text("utf-8")))
    assert {name for name in named if name not in settings and name != "WAFA_CHAOS_AT"} == set()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_metric_named_exists(page: Path) -> None:
    headers: Any = header_schema()["properties"]
    known = {*registered(), *headers}
    for name, (_, kind) in registered().items():
        if kind == "histogram":
            known |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}
    assert set(re.findall(r"\bwafa_[a-z_]*[a-z]\b", page.read_text("utf-8"))) - known == set()


def test_metrics_that_are_never_set_are_not_told_to_look_at() -> None:
    """A page for operators names only what the code moves."""
    source = "\n".join(path.read_text("utf-8") for path in PIPELINE.rglob("*.py"))
    dead = {
        metric.name if isinstance(metric, metrics.Durations) else metric._name
        for name, metric in vars(metrics).items()
        if (isinstance(metric, metrics.Durations) or hasattr(metric, "_labelnames"))
        and not re.search(rf"\b{name}\.(?:labels|inc|set|observe|set_function)", source)
    }
    for page in ("operations/README.md", "operations/runbook.md", "operations/probes.md"):
        text = (DOCS / page).read_text("utf-8")
        assert [name for name in dead if re.search(rf"\b{name}(?:_total)?\b", text)] == []


if __name__ == "__main__":
    for one in PAGES:
        before = one.read_text("utf-8")
        after = renewed(before)
        if before != after:
            one.write_text(after, "utf-8")
