"""The command line in processes of its own, which end with this one and never work on one run twice."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from lrdgraph.errors import LrdgraphError


class NotDone(Exception):
    """Why a run did not come to its end, in one sentence.

    Attributes:
        status: of the command that failed; 2 says that the settings or the data are wrong, None that none was run.
    """

    def __init__(self, sentence: str, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


class Processes:
    """Runs commands of ``lrdgraph``.

    Args:
        runs: folder of the runs, and of what they say: ``NAME.log``.
    """

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._lock = Lock()
        self._stopped = False

    @contextmanager
    def alone(self, name: str) -> Iterator[BinaryIO]:
        """Hold the lock of a run, which is the file of what it says.

        Raises:
            NotDone: another process is at this run.
        """
        path = self.runs / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            try:
                # commands inherit the lock: one that outlives a killed parent keeps the next parent away
                fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise NotDone("another process is at it") from None
            yield log

    def __call__(self, name: str, *commands: Sequence[str], first: Callable[[], None] | None = None) -> None:
        """Run commands one after the other, in the name of a run, and ``first`` before them.

        Raises:
            NotDone: another process is at this run, or a command failed; what it said last is repeated.
        """
        path = self.runs / f"{name}.log"
        with self.alone(name) as log:
            if first is not None:
                first()
            for words in commands:
                with self._lock:
                    if self._stopped:
                        raise NotDone("it was interrupted")
                    command = [sys.executable, "-m", "lrdgraph.cli", *words]
                    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
                    self._alive.add(process)
                status = process.wait()
                self._alive.discard(process)
                if status:
                    said = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                    last = said[-1].removeprefix("error: ").rstrip(".") if said else "nothing was said"
                    raise NotDone(f"'lrdgraph {words[0]}' ended with status {status}: {last} (see {path})", status)

    def stop(self) -> None:
        """Kill what runs, and start nothing more."""
        with self._lock:
            self._stopped = True
        for process in tuple(self._alive):
            process.kill()


def work_off(tasks: Mapping[str, Callable[[], str | None]], run: Processes, parallel: int) -> dict[str, str]:
    """Do tasks, some at once, and say what came of each; one that fails does not stop the others.

    Args:
        tasks: by name, in the order in which they are begun; each gives a sentence, or None if it was left undone.
        run: what they run commands with; stopped when this process is interrupted.
        parallel: how many at once.

    Returns:
        Why tasks failed, by name.
    """
    failed = {}
    with ThreadPoolExecutor(parallel) as pool:
        try:
            futures = {pool.submit(task): name for name, task in tasks.items()}
            for done, future in enumerate(as_completed(futures), start=1):
                name = futures[future]
                try:
                    said = future.result()
                except (NotDone, LrdgraphError, OSError) as error:
                    failed[name] = said = str(error).rstrip(".")
                if said is not None:
                    print(f"[{done}/{len(tasks)}] {name}: {said}.", flush=True)
        except BaseException:
            run.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def ended(failed: dict[str, str]) -> int:
    """Name what failed, and give the status to end with."""
    if failed:
        print(f"{len(failed)} without a result:", file=sys.stderr)
    for name, why in failed.items():
        print(f"  {name}: {why}.", file=sys.stderr)
    return 1 if failed else 0


def terminate_as_interrupt() -> None:
    """Let SIGTERM end this process as Ctrl-C does, so that it takes its commands along."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
