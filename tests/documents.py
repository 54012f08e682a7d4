"""Markdown pages as programs: their blocks run in order, in one namespace, in an empty folder.

=====================  =======================================================================================
a block marked         is
=====================  =======================================================================================
```python              run
```toml NAME           written to the file NAME, whatever the language
```sh                  run where a line starts with ``lrdgraph``; no other line is
```console             run where a line starts with ``$``; what follows it must be what is said, save ``…``
=====================  =======================================================================================

A page becomes a script of as many lines as it has, so that a traceback names the line of the page.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]

DAY = 86_400
USERS, EVENTS = 60, 8
COLOURS, THINGS = ("red", "green", "blue", "silver", "golden"), ("river", "house", "train", "garden", "king", "ship")


def script(page: str, commands: bool = True) -> str:
    """The program that a page is; without ``commands`` its ``sh`` blocks are passed over."""
    lines, block, language = [], False, ""
    for line in page.splitlines():
        fence = re.fullmatch(r"```(\w*) ?(\S*)", line)
        if not block and fence:
            block, language, name = True, fence[1], fence[2]
            opened = {"console": "documents.said(r'''", "sh": ""}.get(language, "")
            lines.append(f"documents.write({name!r}, r'''" if name else opened)
            language = "file" if name else language
        elif block and line == "```":
            lines.append("''')" if language in ("file", "console") else "")
            block = False
        elif block and language == "sh":
            lines.append(f"documents.run({line!r})" if commands and line.startswith("lrdgraph ") else "")
        else:
            lines.append(line if block and language in ("python", "file", "console") else "")
    assert not block, "the last block has no end"
    assert not lines[0], "the first line of a page is its heading"
    lines[0] = "from tests import documents"
    # two epochs tell as well as twenty whether a page is right
    return re.sub(r'(\bepochs"?\s*[=:]\s*)\d+', r"\g<1>2", "\n".join(lines)) + "\n"


def play(page: Path, folder: Path, commands: bool = True) -> str:
    """Run a page in ``folder`` by a fresh interpreter, on a MovieLens of 60 users; gives what it prints."""
    write_movielens(folder / "cache" / "recbole-1.2.1" / "ml-100k")
    program = folder / f"{page.stem}.py"
    program.write_text(script(page.read_text(encoding="utf-8"), commands), encoding="utf-8")
    own = {"LRDGRAPH_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    own |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    command = [sys.executable, str(program)]
    done = subprocess.run(command, cwd=folder, env=os.environ | own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def write(name: str, text: str) -> None:
    """Write a file that a page shows."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.lstrip("\n"), encoding="utf-8")


def run(line: str) -> None:
    """Run a command that must succeed."""
    from lrdgraph.cli import main

    status = main(shlex.split(line, comments=True)[1:])
    assert status == 0, f"{line} ended with status {status}"


def said(session: str) -> None:
    """Run the commands of a console session and compare what they say, on stdout and stderr, with what is shown."""
    from lrdgraph.cli import main

    for part in re.split(r"^\$ ", session.strip(), flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        heard = io.StringIO()
        with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            main(shlex.split(line)[1:])
        pattern = ".*".join(re.escape(piece) for piece in " ".join(shown.split()).split("…"))
        told = " ".join(heard.getvalue().split())
        assert re.fullmatch(pattern, told, flags=re.DOTALL), f"'{line}' says: {told}"


def write_movielens(folder: Path) -> None:
    """Files of the shape of MovieLens-100k: films 45 … 74 and 172 … 181, each followed by the next most of the time."""
    films = [*range(45, 75), *range(172, 182)]
    rng = np.random.default_rng(0)
    events, kinds = [], ("Comedy", "Drama", "War")
    for user in range(1, USERS + 1):
        film = int(rng.integers(len(films)))
        for step in range(EVENTS):
            events.append(f"{user}\t{films[film]}\t4\t{880_000_000 + (user + 3 * step) * DAY}")
            film = (film + 1) % len(films) if rng.random() < 0.8 else int(rng.integers(len(films)))
    titles = [
        f"{film}\tThe {COLOURS[n % 5]} {THINGS[n % 6]}\t{1960 + n % 9}\t{kinds[n % 3]}" for n, film in enumerate(films)
    ]
    folder.mkdir(parents=True)
    files = {
        "inter": ("user_id:token\titem_id:token\trating:float\ttimestamp:float", dict.fromkeys(events)),
        "item": ("item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq", titles),
        "kg": (
            "head_id:token\trelation_id:token\ttail_id:token",
            [f"m.{n}\tfilm.film.sequel\tm.{n + 1}" for n in range(len(films) - 1)],
        ),
        "link": ("item_id:token\tentity_id:token", [f"{film}\tm.{n}" for n, film in enumerate(films)]),
    }
    for suffix, (head, rows) in files.items():
        (folder / f"ml-100k.{suffix}").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
