"""Put settings into an experiment file without touching what else stands in it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lrdgraph.config import override, read_toml
from lrdgraph.errors import ConfigError
from lrdgraph.storage import atomic_file


def assignments(values: Mapping[str, Any]) -> list[str]:
    """Settings by ``section.key`` in the form of the command line, each value as TOML writes it."""
    return [f"{name}={json.dumps(value)}" for name, value in values.items()]


def write_back(path: Path, values: Mapping[str, Any]) -> None:
    """Replace settings in a TOML file, or add them to their section; comments and order stay.

    Args:
        path: the file.
        values: by ``section.key``.

    Raises:
        ConfigError: the file is written in a way that this cannot follow; it is left as it was.
    """
    wanted = override(read_toml(path), assignments(values))
    lines = path.read_text(encoding="utf-8").splitlines()
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        _put(lines, section, key, json.dumps(value))
    text = "\n".join(lines) + "\n"
    try:
        followed = tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        followed = False
    if not followed:
        raise ConfigError(f"{path} is not written plainly enough to be changed; put {', '.join(values)} in by hand.")
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _put(lines: list[str], section: str, key: str, value: str) -> None:
    heads = [n for n, line in enumerate(lines) if line.lstrip().startswith("[")]
    start = next((n for n in heads if lines[n].split("#")[0].strip() == f"[{section}]"), None)
    if start is None:
        lines += ["", f"[{section}]", f"{key} = {value}"]
        return
    end = next((n for n in heads if n > start), len(lines))
    for n in range(start + 1, end):
        if found := re.match(rf"\s*{re.escape(key)}\s*=\s*[^#]*?(\s*#.*)?$", lines[n]):
            lines[n] = f"{key} = {value}{found[1] or ''}"
            return
    while not lines[end - 1].strip():
        end -= 1
    lines.insert(end, f"{key} = {value}")
