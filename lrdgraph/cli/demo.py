"""``lrdgraph demo``: from MovieLens-100k to discovered relations and recommendations, in minutes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrdgraph.cli.console import Changes, say, show_table
from lrdgraph.cli.export import write_triples
from lrdgraph.cli.prepare import show_corpus
from lrdgraph.cli.recommend import events_of, show_recommendations
from lrdgraph.cli.relations import show_relations
from lrdgraph.cli.train import run_shown

if TYPE_CHECKING:
    from lrdgraph.corpus import Corpus
    from lrdgraph.experiment import ExperimentSettings, Run

EXPERIMENTS = {"SASRec": "ml100k-sasrec.toml", "lrdgraph": "ml100k-flagship.toml"}
SHOWN = ("full/HR@10", "full/NDCG@10")
TAILS = 3


def demo(
    out: Annotated[Path, typer.Option(help="Folder for all results.")] = Path("runs/demo"),
    data: Annotated[str, typer.Option(help="A local copy of MovieLens-100k; by default it is fetched.")] = (
        "movielens-100k"
    ),
    changes: Changes = None,
) -> None:
    """Run everything on MovieLens-100k.

    Trains SASRec and the flagship, compares them on test, and shows relations and recommendations. A second run takes
    what the first has left.
    """
    from lrdgraph.experiment import read_experiment
    from lrdgraph.experiment.inputs import load_corpus
    from lrdgraph.export import relation_report

    began = time.perf_counter()
    folder = Path(__file__).parent / "experiments"
    settings = {label: read_experiment(folder / file, changes or (), data=data) for label, file in EXPERIMENTS.items()}
    corpus = load_corpus(settings["lrdgraph"])
    show_corpus(corpus)
    runs, results = {}, {}
    for label, chosen in settings.items():
        runs[label], results[label] = finished(chosen, out / chosen.name, corpus)
    rows = [
        (label, *(held["metrics"]["test"][name] for name in SHOWN), f"{held['seconds']['training']:.0f} s")
        for label, held in results.items()
    ]
    show_table(f"{corpus.name}, test, full ranking", ["model", *SHOWN, "training"], rows)
    flagship = runs["lrdgraph"]
    say("discovered relations, each with its clearest pairs:\n")
    show_relations(relation_report(flagship.model, flagship.titles, 5))
    show_person(flagship, corpus)
    triples = out / "relations.tsv"
    count = write_triples(flagship, triples, threshold=0.0, top_k=TAILS)
    say()
    say(f"triples:    {triples} ({count:,}, the {TAILS} clearest tails of each head and relation)")
    say(f"checkpoint: {flagship.folder / 'best'}")
    say(f"results:    {', '.join(str(run.folder / 'result.json') for run in runs.values())}")
    say(f"done in {time.perf_counter() - began:.0f} s")


def finished(settings: ExperimentSettings, folder: Path, corpus: Corpus) -> tuple[Run, dict[str, Any]]:
    """A run that is trained and evaluated on test, and its result; work already done is not done again."""
    from lrdgraph.config import config_hash, to_dict
    from lrdgraph.experiment import evaluate_run, load_run
    from lrdgraph.storage import read_json

    path = folder / "result.json"
    if path.is_file():
        held = read_json(path)
        same = held.get("config_hash") == config_hash(to_dict(settings)) and "test" in held.get("metrics", {})
        if same and held["corpus"]["fingerprint"] == corpus.fingerprint:
            say(f"{settings.name} is trained already, in {folder}")
            return load_run(folder), held
    say(f"training {settings.name}")
    run_shown(settings, folder, corpus)
    evaluate_run(folder, "test", corpus=corpus)
    return load_run(folder), read_json(path)


def show_person(run: Run, corpus: Corpus) -> None:
    """Recommend to the first person with twenty events or more, else to the one with most, after their last event."""
    import numpy as np

    from lrdgraph.models.recommend import recommend

    counts = np.bincount(corpus.user, minlength=corpus.num_users + 1)
    enough = np.flatnonzero(counts >= 20)
    user = int(enough[0]) if len(enough) else int(counts.argmax())
    items, times = events_of(corpus, user)
    say(f"recommendations for user {corpus.users.id(user)},")
    show_recommendations(run, items, recommend(run.model, [items], [times], k=5, reasons=3)[0])
