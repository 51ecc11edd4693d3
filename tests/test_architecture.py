"""The house stands as docs/architecture.md draws it. Each rule is also shown a small tree that breaks it."""

import ast
import functools
import graphlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FLOORS = ("store", "dashboard", "app")  # from the ground up
STOREYS = (  # inside the store, likewise; what is not named here is free to lie anywhere that makes no cycle
    ("store.errors", "store.codec"),
    ("store.documents", "store.tables"),
    ("store.mapping", "store.files"),
    ("store.outbox",),
    ("store.repositories",),
)
NOUN_FLOORS = ("store/documents", "store/tables", "store/mapping")
NOT_NOUNS = {"__init__", "base", "tandem", "quilltap"}  # machinery, our own tables, Quilltap's enums
ENVIRONMENT = {"environ", "environb", "getenv", "putenv", "unsetenv", "load_dotenv"}
READS_ENVIRONMENT = {"app.py", "store/settings.py"}
LINES = 400


@dataclass(frozen=True, order=True)
class Arrow:
    """Module ``source`` imports module ``target``, wherever in the file the import stands."""

    source: str
    target: str
    typing_only: bool = False

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}" + " (TYPE_CHECKING)" * self.typing_only


def python_files(root: Path) -> list[Path]:
    return sorted(p for name in FLOORS for p in [root / f"{name}.py", *(root / name).rglob("*.py")] if p.is_file())


@functools.cache  # several rules look at the same trees
def modules(root: Path) -> dict[str, Path]:
    return {
        ".".join(p.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): p for p in python_files(root)
    }


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


@functools.cache
def arrows(root: Path) -> frozenset[Arrow]:
    known = modules(root)
    found = set()
    for source, path in known.items():
        tree = tree_of(path)
        blocks = [n.body for n in ast.walk(tree) if isinstance(n, ast.If) and _is_type_checking(n.test)]
        typing_only = {id(node) for statement in chain(*blocks) for node in ast.walk(statement)}
        package = source if path.name == "__init__.py" else source.rpartition(".")[0]
        for node in ast.walk(tree):
            for name in _imported(node, package):
                target = _longest_known(name, known)
                if target is not None and target != source:
                    found.add(Arrow(source, target, id(node) in typing_only))
    return frozenset(found)


def _is_type_checking(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", None)) == "TYPE_CHECKING"


def _imported(node: ast.AST, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = package.split(".")
            base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
        return [f"{base}.{alias.name}" for alias in node.names]
    return []


def _longest_known(name: str, known: Iterable[str]) -> str | None:
    """``from store.errors import StoreError`` means the module store.errors."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


# The rules. Each takes the root of a tree and gives back what breaks it, as sentences.


def upward_arrows(root: Path) -> list[str]:
    """An import for types only counts as well: who names the upper floor's types knows the upper floor."""
    wrong = []
    for arrow in sorted(arrows(root)):
        source, target = (FLOORS.index(m.partition(".")[0]) for m in (arrow.source, arrow.target))
        if target > source or (target == source and _storey(arrow.target) > _storey(arrow.source) >= 0):
            wrong.append(f"points up: {arrow}")
    return wrong


def _storey(module: str) -> int:
    for height, names in enumerate(STOREYS):
        if any(module == name or module.startswith(name + ".") for name in names):
            return height
    return -1


def import_cycles(root: Path) -> list[str]:
    """Cycles at run time; then those that only imports under TYPE_CHECKING close, reported apart.

    Two neighbours in one folder may name each other's types: they are read together. Across folders such a cycle
    is one module torn in two, and allowing it would make "no cycles" mean nothing.
    """
    running = {a for a in arrows(root) if not a.typing_only}
    if cycle := _cycle(running):
        return [f"imports itself: {cycle}"]
    across = {a for a in arrows(root) if a.typing_only and _folder(root, a.source) != _folder(root, a.target)}
    if cycle := _cycle(running | across):
        return [f"imports itself through TYPE_CHECKING: {cycle}"]
    return []


def _cycle(found: Iterable[Arrow]) -> str:
    graph = graphlib.TopologicalSorter[str]()
    for arrow in sorted(found):
        graph.add(arrow.source, arrow.target)
    try:
        graph.prepare()
    except graphlib.CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


def _folder(root: Path, module: str) -> Path:
    return modules(root)[module].parent


def environment_readers(root: Path) -> list[str]:
    """The environment is read once: a module that looks at it makes what it does depend on who imports it."""
    wrong = []
    for path in python_files(root):
        name = path.relative_to(root).as_posix()
        if name in READS_ENVIRONMENT:
            continue
        for node in ast.walk(tree_of(path)):
            words = {getattr(node, "attr", None), getattr(node, "id", None)}
            if isinstance(node, ast.ImportFrom):
                words |= {alias.name for alias in node.names}
            wrong += [f"{name}:{node.lineno} uses {word}" for word in sorted(words & ENVIRONMENT, key=str)]
    return wrong


def long_files(root: Path) -> list[str]:
    paths = [root / "app.py"]
    for folder in ("dashboard", "store", "templates", "static", "tests"):
        paths += [p for p in (root / folder).rglob("*") if p.suffix in {".py", ".html", ".css", ".js"}]
    ours = [p for p in paths if p.is_file() and not p.is_relative_to(root / "static" / "vendor")]
    counted = [(len(p.read_text("utf-8").splitlines()), p.relative_to(root)) for p in sorted(ours)]
    return [f"{path} has {lines} lines, more than {LINES}" for lines, path in counted if lines > LINES]


def nouns_missing(root: Path) -> list[str]:
    """One noun, one file name on every floor. Tables are there from the start; a noun begins with its document."""
    floors = {name: {p.stem for p in (root / name).glob("*.py")} for name in NOUN_FLOORS if (root / name).is_dir()}
    begun = {name: stems for name, stems in floors.items() if not name.endswith("tables")}
    nouns = set(chain(*begun.values())) - NOT_NOUNS
    return [f"{floor}/{noun}.py is missing" for floor, there in floors.items() for noun in sorted(nouns - there)]


Rule = Callable[[Path], list[str]]
RULES: list[Rule] = [upward_arrows, import_cycles, environment_readers, long_files, nouns_missing]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Rule) -> None:
    found = rule(ROOT)
    assert not found, "\n".join(found)


BROKEN: dict[str, tuple[Rule, dict[str, str], str]] = {
    "the store imports the dashboard": (
        upward_arrows,
        {"store/tags.py": "import dashboard.menu", "dashboard/menu.py": ""},
        "points up: store.tags -> dashboard.menu",
    ),
    "the store imports the app inside a function": (
        upward_arrows,
        {"store/tags.py": "def f():\n    from app import create_app", "app.py": ""},
        "points up: store.tags -> app",
    ),
    "the dashboard names a type of the app": (
        upward_arrows,
        {"dashboard/a.py": "import typing\nif typing.TYPE_CHECKING:\n    from app import App", "app.py": ""},
        "points up: dashboard.a -> app (TYPE_CHECKING)",
    ),
    "a document imports a repository": (
        upward_arrows,
        {"store/documents/tags.py": "from store.repositories import base", "store/repositories/base.py": ""},
        "points up: store.documents.tags -> store.repositories.base",
    ),
    "two modules import each other": (
        import_cycles,
        {"store/a.py": "from store import b", "store/b.py": "def f():\n    from .a import x", "store/__init__.py": ""},
        "imports itself: store.a -> store.b -> store.a",
    ),
    "a module goes through the door of its own package": (
        import_cycles,
        {"store/__init__.py": "from .a import x", "store/a.py": "from . import y"},
        "imports itself: store -> store.a -> store",
    ),
    "two folders name each other's types": (
        import_cycles,
        {
            "store/files/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from store.cards.b import B",
            "store/cards/b.py": "from ..files import a",
        },
        "imports itself through TYPE_CHECKING: store.cards.b -> store.files.a -> store.cards.b",
    ),
    "a view reads the environment": (
        environment_readers,
        {"dashboard/a.py": "import os\nPORT = os.environ['PORT']"},
        "dashboard/a.py:2 uses environ",
    ),
    "a module imports getenv": (
        environment_readers,
        {"store/a.py": "from os import getenv"},
        "store/a.py:1 uses getenv",
    ),
    "a template is too long": (
        long_files,
        {"templates/home.html": "<p>\n" * 401},
        "templates/home.html has 401 lines, more than 400",
    ),
    "a noun has no mapping": (
        nouns_missing,
        {"store/documents/tags.py": "", "store/mapping/base.py": ""},
        "store/mapping/tags.py is missing",
    ),
}


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(("rule", "files", "finding"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_house_is_noticed(tmp_path: Path, rule: Rule, files: dict[str, str], finding: str) -> None:
    assert rule(plant(tmp_path, files)) == [finding]


def test_a_sound_house_passes(tmp_path: Path) -> None:
    files = {
        "app.py": "import os\nfrom dashboard import menu\nprint(os.environ)",
        "dashboard/menu.py": "import os.path\nfrom store import Store",
        "store/__init__.py": "from .repositories.tags import Store",
        "store/repositories/tags.py": "from store.documents.tags import Tag",
        "store/documents/tags.py": "if TYPE_CHECKING:\n    from store.documents.base import Document",
        "store/documents/base.py": "from .tags import Tag",  # neighbours may name each other's types
        "store/tables/tags.py": '"""os.environ is only spoken of here."""',
        "static/vendor/library.js": "\n" * 1000,
    }
    assert [rule(plant(tmp_path, files)) for rule in RULES] == [[]] * len(RULES)


def test_the_graph_is_not_empty() -> None:
    """If the folders were renamed, the rules above would look at nothing and pass."""
    assert "store.errors" in {arrow.target for arrow in arrows(ROOT)}
