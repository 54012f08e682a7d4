"""The house rules that a reader of docs/architecture.md may rely on."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LAYERS = {
    "ground": [
        *("lrdgraph.errors", "lrdgraph.distributed", "lrdgraph.faiss"),
        *("lrdgraph.storage", "lrdgraph.parquet", "lrdgraph.vocabulary", "lrdgraph.config"),
    ],
    "corpus": ["lrdgraph.corpus", "lrdgraph.splits", "lrdgraph.batch", "lrdgraph.synthetic"],
    "data_loaders": ["data_loaders"],
    "language": ["lrdgraph.language"],
    "nn": ["lrdgraph.nn"],
    "evaluation": ["lrdgraph.evaluation"],
    "graph": ["lrdgraph.graph"],
    "discovery": ["lrdgraph.discovery"],
    "models": ["lrdgraph.models"],
    "training": ["lrdgraph.training"],
    "export": ["lrdgraph.export"],
    "naming": ["lrdgraph.naming"],
    "experiment": ["lrdgraph.experiment"],
    "quality": ["lrdgraph.quality"],
    "cli": ["lrdgraph.cli"],
}
HEIGHT = {module: height for height, modules in enumerate(LAYERS.values()) for module in modules}
TOP_LEVEL = {
    *("lrdgraph", "benchmarks", "data_loaders", "tests", "docs", ".ci"),
    *("pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt", "CITATION.cff", "CHANGELOG.md"),
    ".gitignore",
}
CATCH_ALL = {"utils", "util", "helpers", "helper", "common", "misc"}
UNPICKLERS = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
# Distributions whose module has another name.
MODULE_OF = {"scikit-learn": "sklearn", "faiss-cpu": "faiss"}


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module: str) -> str | None:
    """The entry of HEIGHT that a module belongs to."""
    return next((known for known in HEIGHT if module == known or module.startswith(f"{known}.")), None)


def imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, inside functions too; ``from a import b`` gives ``a.b``."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from ((found.lineno, alias.name) for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            prefix = "." * found.level + (found.module or "")
            yield from ((found.lineno, f"{prefix}.{alias.name}") for alias in found.names)
        elif isinstance(found, ast.Call) and ast.unparse(found.func).endswith(("import_module", "__import__")):
            yield from ((found.lineno, str(given.value)) for given in found.args[:1] if isinstance(given, ast.Constant))


def upward_imports(module: str, code: ast.AST) -> list[str]:
    """Imports of our own that a module may not have."""
    wrong = []
    for line, name in imports(code):
        if name.startswith("."):
            wrong.append(f"{module}:{line} imports relatively ({name}); write the whole name")
        elif name.split(".")[0] in ("lrdgraph", "data_loaders") and name != "lrdgraph.__version__":
            used, own = layer(name), layer(module)
            if used is None or own is None:
                wrong.append(f"{module}:{line} imports {name}: one of the two is in no layer")
            elif HEIGHT[used] > HEIGHT[own]:
                wrong.append(f"{module}:{line} imports {name}, a layer above its own")
    return wrong


def forbidden_calls(code: ast.AST) -> list[str]:
    """What runs data as code."""
    wrong = []
    for line, name in imports(code):
        if name.split(".")[0] in UNPICKLERS or name in ("torch.load", "torch.save"):
            wrong.append(f"line {line}: {name}")
    for node in ast.walk(code):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("eval", "exec", "compile", "torch.load", "torch.save") or name.endswith(".read_pickle"):
                wrong.append(f"line {node.lineno}: {name}")
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False":
                    wrong.append(f"line {node.lineno}: allow_pickle")
    return wrong


def undocumented(code: ast.Module) -> list[str]:
    """Public functions and classes at the top of a module, and the module itself, without a docstring."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    public = [node for node in code.body if isinstance(node, kinds) and not node.name.startswith("_")]
    missing = [node.name for node in public if not ast.get_docstring(node)]
    return missing if ast.get_docstring(code) else ["the module", *missing]


def tracked() -> list[str]:
    """Tracked files and those that the next commit could add, from the root."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return sorted({name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()})


def test_imports_point_down() -> None:
    own = [path for path in python_files("lrdgraph", "data_loaders") if module_name(path) != "lrdgraph"]
    assert own
    assert [wrong for path in own for wrong in upward_imports(module_name(path), tree(path))] == []


def test_every_module_is_in_a_layer() -> None:
    modules = [module_name(path) for path in python_files("lrdgraph", "data_loaders")]
    assert [module for module in modules if module != "lrdgraph" and layer(module) is None] == []


def test_the_root_module_imports_by_name_only() -> None:
    """It may name every layer to a type checker, but runs no import of ours."""
    code = tree(ROOT / "lrdgraph" / "__init__.py")
    code.body = [node for node in code.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node))]
    assert [name for _, name in imports(code) if name.startswith(("lrdgraph", "data_loaders"))] == []


def test_layers_are_those_of_the_documentation() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("\n## Layers", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| *`?(\w+)`? *\|", table, flags=re.MULTILINE)
    assert [row for row in rows if row != "layer"] == list(LAYERS)


@pytest.mark.parametrize(
    ("module", "code", "count"),
    [
        ("lrdgraph.corpus", "from lrdgraph.errors import DataError", 0),
        ("lrdgraph.corpus", "from lrdgraph import __version__", 0),
        ("lrdgraph.corpus", "import numpy", 0),
        ("lrdgraph.corpus", "from lrdgraph import language", 1),
        ("lrdgraph.corpus", "from lrdgraph import Corpus", 1),
        ("lrdgraph.corpus", "import lrdgraph", 1),
        ("lrdgraph.corpus", "def f():\n    import lrdgraph.nn.time", 1),
        ("lrdgraph.corpus", "from .errors import DataError", 1),
        ("lrdgraph.corpus", "from . import errors", 1),
        ("lrdgraph.nn.time", "import importlib\nimportlib.import_module('lrdgraph.cli')", 1),
        ("lrdgraph.nn.time", "import data_loaders.tables", 0),
        ("data_loaders.tables", "from lrdgraph.language import text", 1),
        ("lrdgraph.utils", "from lrdgraph.errors import DataError", 1),
    ],
)
def test_the_import_rule_sees(module: str, code: str, count: int) -> None:
    assert len(upward_imports(module, ast.parse(code))) == count


def test_third_party_imports_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = project["dependencies"] + [name for extra in project["optional-dependencies"].values() for name in extra]
    names = [re.match(r"[A-Za-z0-9-]+", entry).group() for entry in listed]  # type: ignore[union-attr]
    declared = {MODULE_OF.get(name, name.replace("-", "_")) for name in names}
    declared |= {"lrdgraph", "data_loaders", *sys.stdlib_module_names}
    for path in python_files("lrdgraph", "data_loaders"):
        used = {name.split(".")[0] for _, name in imports(tree(path)) if not name.startswith(".")}
        assert used <= declared, f"{module_name(path)} imports {used - declared}, which pyproject.toml does not list"


def test_files_are_short_and_have_a_subject() -> None:
    files = python_files("lrdgraph", "data_loaders", "benchmarks", "tests")
    lengths = {module_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 350} == {}
    assert [path for path in files if CATCH_ALL & {path.stem, path.parent.name}] == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in python_files("lrdgraph", "data_loaders", "tests")}
    assert sorted(folder for folder in folders if not (folder / "__init__.py").is_file()) == []


def test_no_data_is_run_as_code() -> None:
    files = python_files("lrdgraph", "data_loaders", "benchmarks")
    assert [f"{path.name} {wrong}" for path in files for wrong in forbidden_calls(tree(path))] == []


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("eval(x)", 1),
        ("exec(x)", 1),
        ("torch.load(p)", 1),
        ("from torch import load", 1),
        ("import pickle", 1),
        ("from joblib import load", 1),
        ("np.load(p, allow_pickle=True)", 1),
        ("np.load(p, allow_pickle=False)", 0),
        ("model.eval(); re.compile(p); torch.compile(m)", 0),
    ],
)
def test_the_code_rule_sees(code: str, count: int) -> None:
    assert len(forbidden_calls(ast.parse(code))) == count


def test_what_is_public_has_a_docstring() -> None:
    files = python_files("lrdgraph", "data_loaders")
    assert {module_name(path): names for path in files if (names := undocumented(tree(path)))} == {}


def test_the_docstring_rule_sees() -> None:
    assert undocumented(ast.parse('"""Doc."""\ndef f(): ...\ndef _g(): ...')) == ["f"]
    assert undocumented(ast.parse('class A:\n    """Doc."""')) == ["the module"]


def test_the_top_level_is_fixed() -> None:
    assert {name.split("/")[0] for name in tracked()} - TOP_LEVEL == set()


MACHINE = re.compile(
    r"(?<![\w.~}])/(?:work|tmp|home|root|Users|opt|mnt)/\w|pypi\.org|pythonhosted\.org|download\.pytorch\.org|anaconda\.(?:org|com)"
)


def test_no_file_knows_one_machine() -> None:
    found = []
    for name in tracked():
        text = (ROOT / name).read_bytes().decode("utf-8", errors="replace")
        found += [f"{name}: {match.group()}" for match in MACHINE.finditer(text)]
    assert found == []


def test_the_machine_rule_sees() -> None:
    assert MACHINE.search("/" + "tmp/x")
    assert MACHINE.search("https://" + "pypi" + ".org/simple")
    assert not MACHINE.search("../work/x and a/home/b")
