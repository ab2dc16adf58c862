"""The rules that no tool checks: where commits and the web stand, how nothing is named, what says what it is for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGES = ("shared", "services", "gateway", "cli")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
WEB = ("fastapi", "starlette")
INJECTOR = {"Depends", "Query", "Request"}
PROOF_SETTING = "_".join(("TICKGATE", "PROOF"))
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "managers", "manager", "misc"}
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
# What may happen when a module is imported: making constants, types, tables, routers and the like, by these calls.
BLOCKING = ("open", "connect", "create_engine", "run", "urlopen", "print", "sleep", "getenv", "read_text", "read_bytes")

per_file = pytest.mark.parametrize("path", FILES, ids=NAMES)


def tree(path: Path) -> ast.Module:
    """The syntax of a file."""
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Every (module, name) that a file imports."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def called(node: ast.AST) -> Iterator[str]:
    """The names of what is called below a node, functions' own bodies left out."""
    if isinstance(node, (*FUNCTION, ast.Lambda)):
        return
    if isinstance(node, ast.Call):
        yield node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    for child in ast.iter_child_nodes(node):
        yield from called(child)


def test_there_is_something_to_check() -> None:
    assert len(FILES) > 50


def test_only_the_database_module_commits_a_session() -> None:
    """The commands that migrate speak to a connection, not a session: they alone may say `connection.commit`."""
    found = {
        (name, ast.unparse(node.value))
        for name, path in zip(NAMES, FILES, strict=True)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    }

    assert {(name, whose) for name, whose in found if whose != "connection"} == {("shared/database.py", "session")}
    assert {name for name, whose in found if whose == "connection"} <= {"cli/migrate.py"}


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "services")], ids=str)
def test_only_controllers_know_the_web(path: Path) -> None:
    """`providers.py` is the injector, so it may name what injects."""
    web = {name for module, name in imports(path) if module.partition(".")[0] in WEB}

    assert path.name == "controller.py" or web <= (INJECTOR if path.name == "providers.py" else set())


def test_the_commands_do_not_know_the_web() -> None:
    knowing = {
        str(path.relative_to(ROOT))
        for path in FILES
        if path.is_relative_to(ROOT / "cli") and any(m.partition(".")[0] in WEB for m, _ in imports(path))
    }

    assert knowing == set()


def test_nothing_is_called_after_nothing() -> None:
    assert [name for name in NAMES if FORBIDDEN_NAMES & {*Path(name).parent.parts, Path(name).stem}] == []


def test_only_the_proof_module_reads_how_much_is_done() -> None:
    """A long form that read it by itself could take what the longest asks for as nothing."""
    readers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and node.value == PROOF_SETTING
    }

    assert readers == {"tests/proof.py"}


@per_file
def test_every_module_and_everything_public_says_what_it_is_for(path: Path) -> None:
    module = tree(path)
    silent = [] if ast.get_docstring(module) else ["the module"]
    silent += [name for name, node in _public(module) if not ast.get_docstring(node)]

    assert silent == []


def _public(module: ast.Module) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Public classes and functions, and public methods of public classes; what a function hides is its own affair."""
    for node in module.body:
        if not isinstance(node, (ast.ClassDef, *FUNCTION)) or node.name.startswith("_"):
            continue
        yield node.name, node
        if isinstance(node, ast.ClassDef):
            methods = (m for m in node.body if isinstance(m, FUNCTION) and not m.name.startswith("_"))
            yield from ((f"{node.name}.{method.name}", method) for method in methods)


@per_file
def test_importing_a_module_does_nothing_but_make_names(path: Path) -> None:
    """No statement at module level but definitions, imports and assignments, none of them I/O."""
    plain = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.ClassDef, *FUNCTION)
    if path.name == "__main__.py":
        pytest.skip("running it is what it is for")
    doing = [
        ast.unparse(node).splitlines()[0]
        for node in tree(path).body
        if not isinstance(node, plain) and not _is_allowed(node)
    ]
    blocking = [name for node in tree(path).body for name in called(node) if name in BLOCKING]

    assert doing + blocking == []


def _is_allowed(node: ast.stmt) -> bool:
    """A docstring; `if __name__ == "__main__"` and `if TYPE_CHECKING`; a command or router put in its place."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or ast.unparse(node.value).partition("(")[0].endswith(".add_typer")
    return isinstance(node, ast.If) and any(name in ast.unparse(node.test) for name in ("__name__", "TYPE_CHECKING"))
