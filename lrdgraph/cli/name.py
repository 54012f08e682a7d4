"""``lrdgraph name``: names for the discovered relations of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lrdgraph.cli.console import Bar, say


def name(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run.")],
    model: Annotated[
        str,
        typer.Option(
            help="Who proposes: smollm2, a folder, a hub name or a .gguf file of a causal model, the name that an "
            "endpoint knows, or keywords; auto is smollm2 where it is installed, else keywords."
        ),
    ] = "auto",
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="An OpenAI-compatible API; its key is OPENAI_API_KEY.")
    ] = None,
    pairs: Annotated[int, typer.Option(help="The clearest pairs of a relation that the model reads.")] = 8,
    tokens: Annotated[int, typer.Option(help="Of each answer at most.")] = 48,
    device: Annotated[str, typer.Option(help="Where a local model runs.")] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Name relations anew that a person named.")] = False,
) -> None:
    """Name the discovered relations.

    A language model reads the clearest pairs of each and proposes a name, a sentence and a direction. They are kept in
    DIR/relations.toml, to be edited by hand; what a person edited is kept.
    """
    from lrdgraph.experiment import load_run
    from lrdgraph.experiment.inputs import cache_folder
    from lrdgraph.naming import NamingSettings, propose_names, write_names
    from lrdgraph.naming.file import FILE, told
    from lrdgraph.naming.propose import item_texts

    settings = NamingSettings(model, endpoint, device=device, pairs=pairs, max_new_tokens=tokens)
    run = load_run(folder)
    held = run.model.latent_relations
    kept = {} if force else {one.name: one for one in held if not one.proposed_by and told(one)}
    with Bar("naming relations", lines=True) as bar:
        found = propose_names(
            run.model,
            run.titles,
            settings,
            texts=item_texts(run.fields, run.titles),
            kept=kept,
            cache=cache_folder(),
            progress=bar,
        )
    write_names(folder / FILE, [proposal.relation for proposal in found])
    for relation, notes in found:
        by = f"proposed by {relation.proposed_by}" if relation.proposed_by else "by hand, kept"
        ways = {True: ", both ways", False: ", head → tail", None: ""}[relation.symmetric]
        say(f"{relation.name}: {relation.label} ({by}{ways})")
        if relation.description:
            say(f"    {relation.description}")
        for note in notes:
            say(f"    note: {note}")
    say(f"names: {folder / FILE}, to be edited by hand")
