"""``lrdgraph quality``: whether the discovered relations of a run are real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lrdgraph.cli.console import say, show_table

if TYPE_CHECKING:
    from lrdgraph.experiment import Run
    from lrdgraph.quality.report import Assessment


def quality(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    data: Annotated[str | None, typer.Option(help="Where the data lie now, if not where they were.")] = None,
    hide: Annotated[
        list[str] | None,
        typer.Option(metavar="RELATION", help="Hide it, discover anew, and rank its links (repeatable)."),
    ] = None,
    shown: Annotated[
        float, typer.Option(help="Share of the pairs of a hidden relation that methods may learn from.")
    ] = 0.05,
    negatives: Annotated[int, typer.Option(help="Random pairs for each recorded link.", min=1)] = 10,
    epochs: Annotated[int, typer.Option(help="Of the discovery that --hide trains.", min=1)] = 8,
    seed: Annotated[int, typer.Option(help="Of controls, random pairs and what --hide trains.", min=0)] = 0,
) -> None:
    """Assess the discovered relations.

    Which predefined relations they are like, which of their new pairs come true later, and how their posteriors become
    probabilities. DIR/quality.json holds all figures, DIR/calibration.json the calibration.
    """
    from lrdgraph.experiment import load_run
    from lrdgraph.experiment.provenance import provenance
    from lrdgraph.experiment.run import corpus_of
    from lrdgraph.models.serving import weights_hash
    from lrdgraph.quality.calibration import save_calibrations
    from lrdgraph.quality.recovery import without_relation
    from lrdgraph.quality.report import assess
    from lrdgraph.storage import write_json

    run = load_run(folder, "cpu")
    for name in hide or ():
        without_relation(run.model.inputs, name, shown, seed)  # before an hour is spent, say what cannot be hidden
    _, parts = corpus_of(run, data)
    origin = {"experiment": run.settings.name, "seed": seed, "corpus": run.fingerprint} | provenance()
    weights = {"weights": weights_hash(run.model)}
    found = assess(run.model, parts, negatives=negatives, seed=seed)
    show_assessment(found)
    hidden: dict[str, Any] = {}
    write_json(folder / "quality.json", found.to_json() | {"hidden": hidden, "provenance": origin})
    save_calibrations(folder / "calibration.json", found.calibrations, origin | weights)
    for name in hide or ():
        hidden[name] = _recovered(run, name, shown, negatives, epochs, seed)
        metrics = ("MRR", "Hits@1", "Hits@3", "Hits@10")
        rows = [(method, *(values[m] for m in metrics)) for method, values in hidden[name].items()]
        show_table(f"recovery of '{name}', hidden whole, discovered without it", ["head on", *metrics], rows)
        write_json(folder / "quality.json", found.to_json() | {"hidden": hidden, "provenance": origin})
    say(f"figures:     {folder / 'quality.json'}")
    say(f"calibration: {folder / 'calibration.json'}")


def show_assessment(found: Assessment) -> None:
    """Print alignment, novelty and calibration as tables."""
    _show_alignment(found)
    for title, entries in (("joined by no predefined relation", found.new), ("nor in any history", found.unseen)):
        if entries is not None:
            shown = [(n.latent, n.pairs, n.rate, n.control, n.lift, n.candidates) for n in entries]
            columns = ["relation", "pairs", "come true", "like popularity", "lift", "all candidates"]
            show_table(f"later transitions among the clearest pairs {title}", columns, shown)
    calibrated = [
        (name, c.relation, c.negatives, c.before.ece, c.after.ece, c.before.brier, c.after.brier, c.after.base)
        for name, c in found.calibrations.items()
    ]
    columns = ["relation", "as", "random per link", "ECE", "calibrated", "Brier", "calibrated", "of the base rate"]
    show_table("calibration, on pairs that it was not fitted on", columns, calibrated, words=2)
    for name in _names(found):
        if name not in found.calibrations:
            say(f"{name} has no predefined counterpart: its posterior stays uncalibrated")


def _show_alignment(found: Assessment) -> None:
    if not found.alignment:
        say("the graph has no predefined relations, so that there is nothing to hold the discovered ones against")
        return
    pairs, tops = found.alignment[0].pairs, found.alignment[0].precision
    best = {name: max((a for a in found.alignment if a.latent == name), key=lambda a: a.nmi) for name in _names(found)}
    rows: list[tuple[Any, ...]] = [
        (name, a.relation, a.nmi, *a.precision.values(), a.base, "yes" if name in found.counterparts else "no")
        for name, a in best.items()
    ]
    decides = "counterpart" if found.top is None else f"counterpart, by top {found.top:,}"
    columns = ["relation", "most like", "NMI", *(f"top {min(top, pairs):,}" for top in tops), "all pairs", decides]
    show_table("the predefined relation that tells most of it: share of pairs that it joins", columns, rows, words=2)
    if found.top is None:
        say(f"{pairs:,} candidate pairs are too few to tell a counterpart from chance by their top {min(tops):,}")


def _names(found: Assessment) -> list[str]:
    return list(dict.fromkeys(entry.latent for entry in found.alignment))


def _recovered(
    run: Run, name: str, shown: float, negatives: int, epochs: int, seed: int
) -> dict[str, dict[str, float]]:
    """Metrics of each method for one hidden relation; discovery is trained alone, with the settings of the run's.

    Beside it stands the one that explains visible edges and transitions.
    """
    from functools import partial

    from lrdgraph.quality.discovered import DiscoverySettings, discovery_family, from_both, train_discovery
    from lrdgraph.quality.features import cooccurrence_features, popularity_features, random_features, text_features
    from lrdgraph.quality.recovery import recover_relation

    own = run.model.settings
    shared = ("num_latent", "encoder", "decoder", "none_state", "beta")
    chosen = {key: getattr(own, key) for key in shared} | {"hidden_channels": own.discovery_channels, "epochs": epochs}
    chosen["prior"] = getattr(own, "discovery_prior", "uniform")
    discovery = discovery_family(partial(train_discovery, settings=DiscoverySettings(**chosen)))
    families = (discovery, from_both, text_features, cooccurrence_features, popularity_features, random_features)
    inputs = run.model.inputs
    return recover_relation(inputs, name, families, shown=shown, negatives=negatives, seed=seed)[name]
