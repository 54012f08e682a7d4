"""``lrdgraph train``: an experiment file in, a folder with the trained model and its result out."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrdgraph import distributed
from lrdgraph.cli.console import Bar, Changes, say
from lrdgraph.cli.metrics import show_metrics

if TYPE_CHECKING:
    from lrdgraph.corpus import Corpus
    from lrdgraph.experiment import ExperimentSettings, Run


def train(
    file: Annotated[Path, typer.Argument(help="The experiment, a TOML file.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; one found there is resumed.")],
    data: Annotated[str | None, typer.Option(help="Replaces data.source.")] = None,
    seed: Annotated[int | None, typer.Option(help="Replaces training.seed.")] = None,
    tensorboard: Annotated[Path | None, typer.Option(metavar="DIR", help="Log every epoch for TensorBoard.")] = None,
    changes: Changes = None,
) -> None:
    """Train a model, or go on training it.

    Validation metrics go to OUT/result.json; those on test come from evaluate.
    """
    from lrdgraph.experiment import read_experiment
    from lrdgraph.experiment.inputs import load_corpus

    settings = read_experiment(file, changes or (), data=data, seed=seed)
    with distributed.processes():
        with distributed.first_before_others():
            corpus = load_corpus(settings)
        say(repr(corpus))
        run_shown(settings, out, corpus, tensorboard)
        if distributed.is_first():
            show_run(settings.name, out)


def show_run(name: str, out: Path) -> None:
    """Print what a finished run came to, and where it lies."""
    from lrdgraph.storage import read_json

    result = read_json(out / "result.json")
    show_metrics(f"{name}, validation", {"value": result["metrics"]["validation"]})
    seconds, memory = result["seconds"]["this_process"], result["peak_memory_gb"]
    say(f"best epoch {result['best_epoch']} of {result['epochs']}, {seconds:.1f} s, {memory:.2f} GB at most")
    say(f"result:     {out / 'result.json'}")
    say(f"checkpoint: {out / 'best'}")
    say(f"log:        {out / 'log.jsonl'}")
    say(f"next:       lrdgraph evaluate {out} --split test")


def run_shown(settings: ExperimentSettings, out: Path, corpus: Corpus, tensorboard: Path | None = None) -> Run:
    """Train with a bar for the steps and a line for each epoch; says so where a run is resumed."""
    from lrdgraph.experiment import run_experiment
    from lrdgraph.training.checkpoint import load_state
    from lrdgraph.training.tracking import TensorBoard

    with distributed.first_before_others():
        found = load_state(out / "last")
    epochs, metric = settings.training.epochs, settings.training.metric
    epoch = found.get("epoch", 0) if isinstance(found, dict) else 0
    begun = epoch
    if found is not None:
        say(f"resuming the run in {out} after epoch {epoch} of {epochs}")
    board = nullcontext() if tensorboard is None or not distributed.is_first() else TensorBoard(tensorboard)
    with Bar("encoding item texts", lines=True) as encoding, Bar("") as steps, board as track:

        def step(done: int, total: int) -> None:
            steps.label = f"epoch {epoch + 1}/{epochs}"
            steps(done, total)

        def report(entry: dict[str, Any]) -> None:
            nonlocal epoch
            epoch = entry["epoch"]
            if track is not None:
                track(entry)
            say(epoch_line(entry, epochs, metric))

        run = run_experiment(settings, out, corpus=corpus, encoding=encoding, report=report, step_done=step)
    if found is not None and epoch == begun:
        say("nothing was left to train")
    for sentence in run.model.warnings():
        say(f"warning: {sentence}")
    return run


def epoch_line(entry: dict[str, Any], epochs: int, metric: str) -> str:
    """What one epoch came to, in one line: the parts of the loss, the validation metric and seconds.

    A part's own terms (``"discovery/kl"``) stand in the log alone.
    """
    named = {name.removesuffix("/total"): value for name, value in entry["loss"].items() if name != "total"}
    terms = ", ".join(f"{name} {value:.4f}" for name, value in named.items() if "/" not in name)
    line = f"epoch {entry['epoch']:>{len(str(epochs))}}/{epochs}  loss {entry['loss']['total']:.4f}"
    if "," in terms:
        line += f" ({terms})"
    if "validation" in entry:
        line += f"  {metric} {entry['validation'][metric]:.4f}"
    return f"{line}  {entry['seconds'] + entry.get('evaluation_seconds', 0.0):.1f} s"
