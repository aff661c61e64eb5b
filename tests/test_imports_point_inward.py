"""The house keeps its shape: imports point inward, one place for each dangerous thing. Reads the source only."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: What may be reached from where, inside congvan. A part that is not listed is ground: see GROUND.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "rules": {"errors", "rules"},
    "letters": {"errors", "rules", "letters"},
    "mail": {"errors", "rules", "letters", "mail"},
    "registry": {"errors", "rules", "registry", "reading"},
    "store": {"errors", "rules", "store"},
}
#: Where people and other programs come in; nothing inside knows of them.
DOORS = {"portal", "cli", "commands", "demo", "up", "doctor", "board_check", "simulate", "simulation", "launching"}
#: Who may use SQL: the store, and acts, which ask it questions. Doors that look into the database say why here.
MAY_SELECT = {"store", "acts", "doctor", "commands", "demo", "simulation"}
#: Parts with a machine behind them, built by house.py alone.
CONCRETE = {"Store", "Press", "Words", "Sender", "SystemClock", "DemoClock", "Links", "House", "SystemRandom"}
#: Where one of them is built for another reason: the clock reads itself, links are a cached part of a house,
#: `letter render` needs the typesetter without a database, and `doctor` compares clocks without a house.
BUILDERS = {
    "congvan/house.py": CONCRETE,
    "congvan/commands/preview.py": {"Press"},
    "congvan/doctor/examine.py": {"SystemClock"},
    # A simulated world has a database in memory, a typesetter without Typst, and a clock of its own.
    "congvan/simulation/inline.py": {"Store"},
    "congvan/simulation/parts.py": {"Words", "House"},
}
#: Pictures of rows: flow and task objects that are never executed, only shown.
PICTURES = {("tasks/board.py", "folder_task")}


@dataclass(frozen=True)
class Module:
    """One source file. name: dotted; part: the first name below congvan (or flows, tasks)."""

    path: Path

    @property
    def place(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def name(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def part(self) -> str:
        pieces = self.name.split(".")
        return pieces[1] if pieces[0] == "congvan" and len(pieces) > 1 else pieces[0]

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text("utf-8"))

    @cached_property
    def imports(self) -> frozenset[str]:
        return frozenset(imported(self.tree, self.name))


def imported(tree: ast.AST, name: str = "") -> Iterator[str]:
    """Every module that the source names in an import, wherever it stands; `from a import b` names a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: -node.level] if node.level else []
            module = ".".join([*above, node.module] if node.module else above)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


MODULES = tuple(
    Module(path) for folder in ("congvan", "flows", "tasks") for path in sorted((ROOT / folder).rglob("*.py"))
)


def within(*parts: str) -> list[Module]:
    """The modules of some parts of the house."""
    return [module for module in MODULES if module.part in parts]


def parts_of_congvan(module: Module) -> set[str]:
    """Which parts of congvan a module imports."""
    return {name.split(".")[1] for name in module.imports if name.startswith("congvan.")}


def told(wrong: Iterator[str]) -> str:
    return "\n".join(sorted(set(wrong)))


def outside(module: Module) -> set[str]:
    """The foreign packages that a module imports."""
    names = {name.partition(".")[0] for name in module.imports} - {"congvan", "flows", "tasks", ""}
    return names - set(sys.stdlib_module_names)


# ------------------------------------------------------------------------------------ the layers


def test_there_is_something_to_look_at() -> None:
    assert {"congvan", "flows", "tasks"} <= {module.part for module in MODULES}
    assert len(within("rules")) >= 5


def test_flows_stand_on_tasks_and_tasks_on_congvan_and_never_the_other_way() -> None:
    def wrong() -> Iterator[str]:
        for module in MODULES:
            below = {"flows": set(), "tasks": {"flows"}}.get(module.part, {"flows", "tasks"})
            for name in module.imports:
                if name.partition(".")[0] in below:
                    yield f"{module.place} imports {name}"

    assert told(wrong()) == ""


def test_the_library_knows_nothing_of_prefect() -> None:
    # Starting Prefect's server beside it, and asking whether it is there, are the affair of `up` and `doctor`.
    found = {
        module.place for module in MODULES if module.part not in ("flows", "tasks") and "prefect" in outside(module)
    }
    assert found <= {"congvan/up.py"}


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_a_part_imports_only_what_lies_further_in(part: str) -> None:
    modules = within(part)
    assert modules, f"there is no congvan/{part}"
    wrong = (f"{m.place} imports {found}" for m in modules for found in parts_of_congvan(m) - MAY_IMPORT[part])
    assert told(wrong) == ""


def test_rules_need_nothing_but_the_standard_library_and_pydantic() -> None:
    allowed = {"pydantic", "pydantic_core"}  # the core has the errors that pydantic itself raises
    wrong = (f"{m.place} imports {found}" for m in within("rules", "errors") for found in outside(m) - allowed)
    assert told(wrong) == ""


def test_nothing_inside_knows_the_doors() -> None:
    inside = [module for module in MODULES if module.part not in DOORS | {"flows", "tasks", "congvan"}]
    wrong = (f"{m.place} imports congvan.{found}" for m in inside for found in parts_of_congvan(m) & DOORS)
    assert told(wrong) == ""


def test_acts_are_called_by_doors_and_flows_only() -> None:
    callers = DOORS | {"acts", "flows", "tasks", "launching"}
    wrong = (
        f"{m.place} imports congvan.acts" for m in MODULES if m.part not in callers and "acts" in parts_of_congvan(m)
    )
    assert told(wrong) == ""


def test_the_portal_reaches_mail_only_through_the_house() -> None:
    closed = re.compile(
        r"^(prefect|aiosmtplib|smtplib|sqlalchemy|congvan\.(store|mail\.(sender|wire|conversation|pacing)))\b"
    )
    wrong = (f"{m.place} imports {name}" for m in within("portal") for name in m.imports if closed.match(name))
    assert told(wrong) == ""


def test_only_the_store_and_the_acts_speak_sql() -> None:
    wrong = (
        f"{m.place} imports sqlalchemy" for m in MODULES if m.part not in MAY_SELECT and "sqlalchemy" in outside(m)
    )
    assert told(wrong) == ""


# ------------------------------------------------------------------------------------ one place for each thing


def writes(tree: ast.AST) -> Iterator[int]:
    """Lines that open a writing transaction: `….store.act(`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "act":
            owner = node.func.value
            if (owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")).strip("_") == "store":
                yield node.lineno


def test_only_acts_open_a_transaction_that_writes() -> None:
    wrong = (f"{m.place}:{line}" for m in MODULES if m.part != "acts" for line in writes(m.tree))
    assert told(wrong) == ""
    assert sum(1 for m in within("acts") for _ in writes(m.tree)) > 10


_CLOCKS = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime"},
    "func": {"now", "current_timestamp"},
    "pendulum": {"now", "today"},
}


def wall_clock(tree: ast.AST) -> Iterator[int]:
    """Lines that read the wall clock, called or handed on. Monotonic seconds are no date and are allowed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if node.attr in _CLOCKS.get(owner, ()):
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (node.lineno for alias in node.names if alias.name in _CLOCKS["time"])


def test_only_the_clock_reads_the_clock() -> None:
    wrong = (f"{m.place}:{line}" for m in MODULES if m.place != "congvan/clock.py" for line in wall_clock(m.tree))
    assert told(wrong) == ""


def built(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines that build a concrete part."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in CONCRETE:
                yield node.lineno, name


def test_only_the_house_builds_concrete_parts() -> None:
    def wrong() -> Iterator[str]:
        for module in MODULES:
            for line, name in built(module.tree):
                if name not in BUILDERS.get(module.place, set()):
                    yield f"{module.place}:{line} builds a {name}"

    assert told(wrong()) == ""


def made_tasks(module: Module) -> Iterator[str]:
    """Uses of Prefect's own `task`, but for the pictures."""
    ours = module.place == "tasks/__init__.py"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if _is_task(called) and (module.place, node.name) not in PICTURES:
                    yield f"{module.place}:{node.lineno} {node.name}"
        elif isinstance(node, ast.Call) and _is_task(node.func) and not ours and not _decorates(module.tree, node):
            yield f"{module.place}:{node.lineno} task(…)"


def _is_task(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "task" and getattr(node.value, "id", "") == "prefect"
    return getattr(node, "id", "") == "task"


def _decorates(tree: ast.AST, call: ast.Call) -> bool:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(call in function.decorator_list for function in functions)


def test_every_task_is_made_by_effect() -> None:
    # A cached task is skipped on a hop's second wake, and no reminder leaves.
    assert told(line for m in MODULES for line in made_tasks(m)) == ""
    effects = [
        node.name
        for m in within("tasks")
        for node in ast.walk(m.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(getattr(decorator, "id", "") == "effect" for decorator in node.decorator_list)
    ]
    assert len(effects) >= 5
    board = next(m for m in MODULES if m.place == "tasks/board.py")
    assert all(any(getattr(node, "name", "") == name for node in ast.walk(board.tree)) for _, name in PICTURES)


# ------------------------------------------------------------------------------------ packaging and data


@pytest.mark.parametrize("name", ["congvan", "flows", "tasks"])
def test_our_packages_are_ours(name: str) -> None:
    # A `tasks` on the package index beats an editable install.
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.origin is not None
    assert Path(found.origin).resolve() == ROOT / name / "__init__.py"


@pytest.mark.parametrize("folder", ["config", "templates"])
def test_what_people_edit_holds_no_python(folder: str) -> None:
    assert [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".pyc", ".pyi")] == []
    assert any((ROOT / folder).iterdir())


@pytest.mark.parametrize("word", ["QHXD", "HEZA", "Hải Phòng", "8184"])
def test_no_code_knows_one_authority(word: str) -> None:
    wrong = [
        f"{module.place}:{number}"
        for module in MODULES
        for number, line in enumerate(module.path.read_text("utf-8").splitlines(), 1)
        if word.casefold() in line.casefold()
    ]
    assert wrong == []


# ------------------------------------------------------------------------------------ the look-out is awake


@pytest.mark.parametrize(
    ("looks", "source"),
    [
        (wall_clock, "from datetime import datetime\nx = datetime.now(UTC)"),
        (wall_clock, "import datetime\nx = datetime.datetime.utcnow()"),
        (wall_clock, "import time\nx = field(default_factory=time.time)"),
        (wall_clock, "from time import time as t"),
        (wall_clock, "from datetime import date\nx = date.today()"),
        (wall_clock, "x = mapped_column(server_default=func.now())"),
        (writes, "async with house.store.act() as ledger: pass"),
        (writes, "async with self._house.store.act() as ledger: pass"),
        (writes, "async with store.act() as ledger: pass"),
        (built, "x = database.Store(url)"),
        (built, "x = Press(folder)"),
    ],
)
def test_the_lookout_sees(looks: Callable[[ast.AST], Iterator[object]], source: str) -> None:
    source = source.replace("async with", "async def f():\n  async with")
    assert list(looks(ast.parse(source)))


@pytest.mark.parametrize("source", ["x = time.monotonic()", "x = await house.clock.now()", "x = clock.wall()"])
def test_the_lookout_is_not_alarmed_by(source: str) -> None:
    assert not list(wall_clock(ast.parse(f"async def f():\n  {source}")))


def test_the_lookout_reads_every_form_of_import() -> None:
    source = "import prefect.states\nfrom . import sibling\nfrom ..acts import hops\ndef f():\n  from flows import hop"
    found = set(imported(ast.parse(source), "congvan.portal.app"))
    assert {"prefect.states", "congvan.portal.sibling", "congvan.acts.hops", "flows.hop"} <= found
