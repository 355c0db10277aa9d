"""The house, read from its imports: floors, order inside a room, pure rooms, and a few habits.

A new file gets its place in ORDER; one that has none fails. CONTRIBUTING.md says where things go.
"""

import ast
import graphlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

FLOORS = (
    ("ledger/errors",),
    ("ledger/tlog",),
    ("ledger/record", "ledger/timestamp"),
    ("ledger/proof",),
    ("ledger/doors",),
    ("ledger/report",),
    ("ledger/operator", "ledger/holder", "ledger/witness"),
    ("service", "cli"),
)
"""From the ground up. Rooms of one floor never import each other."""

PURE = ("ledger/errors", "ledger/tlog", "ledger/record", "ledger/timestamp", "ledger/proof")

ORDER: Mapping[str, str] = {
    "ledger/tlog": (
        "text signature merkle frontier subtree tile authentic note checkpoint proof policy"
    ),
    "ledger/record": (
        "strict_json rfc4648 vocabulary claims sdjwt record shown manifest parts chain"
    ),
    "ledger/timestamp": "der request algorithms cms token path material opened examine",
    "ledger/proof": (
        "reasons verdict bundle disclosed trust roots lint excerpted recorded logged cosigned"
        " revocation stamps appraise bounds keyed verify"
        " token_fields fields mutations rearranged forgeries not_evidence attack"
    ),
    "ledger/doors": (
        "zip_layout drives hashing files bundle_files sqlite keys keyring http foreign"
        " carrier pieces tsa_setting client"
    ),
    "ledger/operator": (
        "store/protocol store/memory store/sqlite"
        " guard backup repeats sequencer second_reader attempts grant access diary gaps"
        " schedule batcher tsa devtsa devserver stamper sources capture closed local receipts"
        " hosted_settings hosted faults"
        " audit_tree audit_rows audit"
    ),
    "ledger/holder": (
        "ledger_setting config schema lock keys records captures prover receipts kept_ledger"
        " tile_cache seen material wire remote said search manifests"
        " originals kept checks successions vault exporting segments signing anchoring excerpts"
        " by_hand readme keychain bundling snapshot backup checking"
    ),
}
"""A file imports, of its own room, only what stands before it. A room not named is free in that."""

MAX_LINES = 400
MAX_FUNCTION_LINES = 60

OUTSIDE = (
    "asyncio ctypes flask ftplib getpass glob http logging multiprocessing os pathlib platformdirs"
    " pyrage random requests rfc3161ng secrets select selectors shelve shutil signal smtplib socket"
    " sqlite3 sqlite_utils ssl subprocess sys tempfile threading time urllib urllib3 uuid"
)
"""Modules with which a pure room could reach the world, the clock or chance."""

ASKING = "now today utcnow generate generate_key generate_private_key"
"""Methods that ask the clock or chance. (Keys and moments are arguments.)"""

TALKING = "open print input exec eval"

LATE_IMPORTS = {
    "ledger/operator/second_reader.py": {"rfc3161ng"},
    "ledger/doors/keyring.py": {"keyring"},
}
"""Imports inside functions: a slow one that only stamping needs, and one that few install."""

LOADERS = ("cli/main.py", "cli/desk.py", "cli/serve.py")
"""Who may import by name: the loader of one family of commands, and the commands that start a
page or the service, which they must not import."""

EXITS = ("cli/main.py",)


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the house, `path` relative to the checkout."""

    path: str
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Its path without the ending, a package's without ``__init__`` too."""
        return self.path.removesuffix(".py").removesuffix("/__init__")

    @property
    def room(self) -> str | None:
        """The room of FLOORS in which it is, or None (``ledger/__init__.py``)."""
        rooms = [room for floor in FLOORS for room in floor]
        return next((r for r in rooms if self.name == r or self.name.startswith(f"{r}/")), None)


Rule = Callable[[list[Source]], Iterator[str]]
"""Yields one line for each place that breaks it."""


def read_house(root: Path) -> list[Source]:
    """Every Python file of the three packages of the checkout at `root`."""
    paths = sorted(p for top in ("ledger", "service", "cli") for p in (root / top).rglob("*.py"))
    return [source(p.relative_to(root).as_posix(), p.read_text(encoding="utf-8")) for p in paths]


def source(path: str, text: str) -> Source:
    return Source(path, text, ast.parse(text, path))


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names that `tree` imports; for ``from a import b`` both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def edges(house: list[Source]) -> Iterator[tuple[Source, Source]]:
    """Who imports whom, within the house."""
    by_name = {each.name: each for each in house}
    for each in house:
        wanted = {name.replace(".", "/") for name in imports(each.tree)}
        yield from ((each, by_name[name]) for name in sorted(wanted & by_name.keys()))


def calls(tree: ast.AST) -> Iterator[tuple[str, int, bool]]:
    """What is called: the last part of the name, the line, and whether it is a method."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno, False
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr, node.lineno, True


def imports_go_down(house: list[Source]) -> Iterator[str]:
    floor_of = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    for above, below in edges(house):
        if below.room is None or above.room == below.room:
            continue
        if above.room is None or floor_of[above.room] <= floor_of[below.room]:
            yield f"{above.path} imports {below.path}, which is not on a lower floor"


def imports_follow_the_order_of_the_room(house: list[Source]) -> Iterator[str]:
    for each in house:
        if each.room in ORDER and not each.path.endswith("__init__.py") and place(each) is None:
            yield f"{each.path} has no place in ORDER: {ORDER[each.room]}"
    for later, earlier in edges(house):
        if later.room != earlier.room or later.room not in ORDER:
            continue
        mine, other = place(later), place(earlier)
        if mine is not None and other is not None and mine <= other:
            yield f"{later.path} imports {earlier.path}, which does not stand before it in ORDER"


def place(each: Source) -> int | None:
    """Where `each` stands in its room's order."""
    order = ORDER.get(each.room or "", "").split()
    name = each.name.removeprefix(f"{each.room}/")
    return order.index(name) if name in order else None


def there_are_no_circles(house: list[Source]) -> Iterator[str]:
    graph: dict[str, set[str]] = {}
    for above, below in edges(house):
        graph.setdefault(above.path, set()).add(below.path)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield " -> ".join(error.args[1])


def every_file_is_in_a_room(house: list[Source]) -> Iterator[str]:
    for each in house:
        if each.room is None and each.path != "ledger/__init__.py":
            yield f"{each.path} is in no room of FLOORS"
        if each.path.rsplit("/", 1)[-1] in ("util.py", "utils.py", "helpers.py", "common.py"):
            yield f"{each.path}: a file is named after its idea"


def imports_are_absolute_and_at_the_top(house: list[Source]) -> Iterator[str]:
    for each in house:
        if any(name.startswith(".") for name in imports(each.tree)):
            yield f"{each.path} has a relative import"
        allowed = LATE_IMPORTS.get(each.path, set())
        for node in ast.walk(each.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                late = {name.split(".")[0] for name in imports(node)} - allowed
                yield from (f"{each.path}:{node.lineno} imports {name} late" for name in late)
        for name, line, _ in calls(each.tree):
            if name in ("import_module", "__import__") and each.path not in LOADERS:
                yield f"{each.path}:{line} imports by name"


def pure_rooms_are_pure(house: list[Source]) -> Iterator[str]:
    for each in house:
        if each.room not in PURE:
            continue
        # urllib.parse only splits text.
        names = {name for name in imports(each.tree) if not name.startswith("urllib.parse")}
        world = {name.split(".")[0] for name in names} & set(OUTSIDE.split())
        yield from (f"{each.path} imports {name}" for name in sorted(world))
        for name, line, is_method in calls(each.tree):
            if name in (ASKING if is_method else TALKING).split():
                yield f"{each.path}:{line} calls {name}"


def only_the_command_line_exits(house: list[Source]) -> Iterator[str]:
    for each in house:
        if each.path in EXITS:
            continue
        for node in ast.walk(each.tree):
            match node:
                case ast.Name(id="SystemExit" | "exit" | "quit"):
                    yield f"{each.path}:{node.lineno} exits"
                case ast.Attribute(
                    value=ast.Name(id="sys" | "os"), attr="exit" | "_exit" | "abort"
                ):
                    yield f"{each.path}:{node.lineno} exits"
                case ast.ImportFrom(module="sys", names=names) if any(
                    n.name == "exit" for n in names
                ):
                    yield f"{each.path}:{node.lineno} exits"


def packages_say_who_lives_there(house: list[Source]) -> Iterator[str]:
    packages = {each.path.rsplit("/", 1)[0] for each in house}
    paths = {each.path for each in house}
    yield from (f"{p} has no __init__.py" for p in packages if f"{p}/__init__.py" not in paths)
    for each in house:
        if each.path.endswith("__init__.py") and not ast.get_docstring(each.tree):
            yield f"{each.path} does not say who lives there"


def files_and_functions_fit(house: list[Source]) -> Iterator[str]:
    for each in house:
        if (lines := len(each.text.splitlines())) > MAX_LINES:
            yield f"{each.path} has {lines} lines, want at most {MAX_LINES}"
        for node in ast.walk(each.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    yield f"{each.path}:{node.lineno} {node.name} has {lines} lines"


RULES = (
    imports_go_down,
    imports_follow_the_order_of_the_room,
    there_are_no_circles,
    every_file_is_in_a_room,
    imports_are_absolute_and_at_the_top,
    pure_rooms_are_pure,
    only_the_command_line_exits,
    packages_say_who_lives_there,
    files_and_functions_fit,
)


@pytest.fixture(scope="module")
def house(project_root: Path) -> list[Source]:
    return read_house(project_root)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Rule, house: list[Source]) -> None:
    assert list(rule(house)) == []


BROKEN: tuple[tuple[Rule, dict[str, str]], ...] = (
    (imports_go_down, {"ledger/tlog/note.py": "import ledger.proof.verify"}),
    (imports_go_down, {"ledger/tlog/note.py": "from ledger.proof.verify import x"}),
    (imports_go_down, {"ledger/tlog/note.py": "from ledger.proof import verify"}),
    (imports_go_down, {"ledger/holder/vault.py": "import ledger.operator.guard"}),
    (imports_go_down, {"ledger/record/record.py": "import ledger.timestamp.token"}),
    (imports_go_down, {"service/app.py": "import cli.main"}),
    (imports_go_down, {"cli/main.py": "from service import app"}),
    (imports_go_down, {"ledger/__init__.py": "import ledger.errors"}),
    (imports_follow_the_order_of_the_room, {"ledger/tlog/merkle.py": "import ledger.tlog.note"}),
    (imports_follow_the_order_of_the_room, {"ledger/tlog/novel.py": ""}),
    (
        imports_follow_the_order_of_the_room,
        {"ledger/operator/store/memory.py": "import ledger.operator.guard"},
    ),
    (
        there_are_no_circles,
        {
            "ledger/report/a.py": "import ledger.report.b",
            "ledger/report/b.py": "import ledger.report.a",
        },
    ),
    (every_file_is_in_a_room, {"ledger/attic/box.py": ""}),
    (every_file_is_in_a_room, {"ledger/tlog/utils.py": ""}),
    (imports_are_absolute_and_at_the_top, {"cli/a.py": "from . import b"}),
    (imports_are_absolute_and_at_the_top, {"cli/a.py": "def f():\n    import json"}),
    (
        imports_are_absolute_and_at_the_top,
        {"cli/a.py": "import importlib\nimportlib.import_module('x')"},
    ),
    (pure_rooms_are_pure, {"ledger/tlog/note.py": "import os.path"}),
    (pure_rooms_are_pure, {"ledger/tlog/note.py": "from time import time"}),
    (pure_rooms_are_pure, {"ledger/proof/verify.py": "import urllib.request"}),
    (pure_rooms_are_pure, {"ledger/proof/verify.py": "open('x')"}),
    (pure_rooms_are_pure, {"ledger/proof/verify.py": "datetime.now(UTC)"}),
    (pure_rooms_are_pure, {"ledger/record/sdjwt.py": "Ed25519PrivateKey.generate()"}),
    (only_the_command_line_exits, {"cli/verify.py": "raise SystemExit(1)"}),
    (only_the_command_line_exits, {"ledger/tlog/note.py": "sys.exit(1)"}),
    (only_the_command_line_exits, {"ledger/tlog/note.py": "from sys import exit"}),
    (packages_say_who_lives_there, {"cli/a.py": ""}),
    (packages_say_who_lives_there, {"cli/__init__.py": "# nobody"}),
    (files_and_functions_fit, {"cli/a.py": "\n" * 401}),
    (files_and_functions_fit, {"cli/a.py": "def f():\n" + "    f()\n" * 60}),
)


@pytest.mark.parametrize(
    ("rule", "files"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_house_that_breaks_the_rule_is_found_out(rule: Rule, files: dict[str, str]) -> None:
    others = ("ledger/proof/verify.py", "ledger/operator/guard.py", "ledger/timestamp/token.py")
    empty = dict.fromkeys(
        (*others, "ledger/errors.py", "ledger/tlog/note.py", "cli/main.py", "service/app.py"), ""
    )
    house = [source(path, text) for path, text in (empty | files).items()]
    assert list(rule(house))
