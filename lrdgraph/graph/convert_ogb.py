"""Graphs to and from the files of the Open Graph Benchmark, as a heterogeneous link-prediction set."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lrdgraph.corpus import ROLES, TEST, TRAIN
from lrdgraph.errors import ConfigError, DataError, MissingExtraError
from lrdgraph.graph.edge_types import (
    MIXED,
    NODE_KINDS,
    AnyGraph,
    Edges,
    describe,
    join_types,
    node_names,
    parts,
    split_by_type,
)
from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.storage import atomic_folder, check_replaceable, read_json, settle_folder, write_json

FORMAT = 1
_HELD = ("edge_index", "edge_type", "edge_weight", "role")
_README = """graph.json: external ids of items and of attributes, whose n-th, from 0, is node n of its type; relations,
whose n-th is relation n of the split; and latent relations, one for each column of edge_posterior.

held-out.safetensors: the edges of the valid and test splits (edge_index with nodes from 1, attributes after items).

Names of relations in raw/ are percent-encoded.
"""


def to_ogb(
    graph: AnyGraph, folder: Path | str, *, name: str = "ogbl-items", role: Tensor | None = None
) -> dict[str, str]:
    """Write the graph with OGB's own ``DatasetSaver``, for ``LinkPropPredDataset(name, meta_dict=meta)`` and its kin.

    Nodes of each type count from 0, without padding, and a relation is one triplet type ``(source type, name,
    destination type)`` for each pair of node types it joins; its name is percent-encoded where a file could not hold
    it. ``raw/`` holds the training edges with their ``edge_weight``, and the latent edges ``("item", "latent",
    "item")``, with ``edge_posterior`` (P, K) and its sum as weight, off the autograd tape. The split ``given`` has for
    ``train``, ``valid`` and ``test`` torch tensors ``head``, ``relation``, ``tail``, ``weight``, and lists
    ``head_type`` and ``tail_type``, as ``ogbl-biokg`` has. ``mapping/`` holds ids, relations and held-out edges.

    Args:
        graph: the graph.
        folder: replaced where there is one.
        name: of the set; ``ogbl-`` and letters, digits or hyphens.
        role: ``(E,)`` of the predefined edges, ``TRAIN``, ``VALIDATION`` or ``TEST`` of :mod:`lrdgraph.corpus`; all
            are for training where None.

    Returns:
        The dictionary that OGB's classes take as ``meta_dict``; it also stands in ``meta.json``. Its ``dir_path`` is
        the folder: where that is moved, it changes.

    Raises:
        MissingExtraError: ogb is not installed.
        ConfigError: the name is none of a link-prediction set.
        DataError: roles do not fit the edges, a predefined relation has the name ``latent``, or posteriors are
            float64 that float32, which is what OGB writes, cannot hold.
    """
    if not re.fullmatch(r"ogbl(-[A-Za-z0-9]+)+", name):
        raise ConfigError(f"'{name}' is no name of a link-prediction set; use ogbl- and letters or digits.")
    base, enriched = parts(graph)
    role = torch.zeros(base.num_edges, dtype=torch.int8) if role is None else role
    fits = role.shape == base.edge_type.shape and not role.is_floating_point()
    if not fits or bool((role < TRAIN).any()) or bool((role > TEST).any()):
        raise DataError(f"Roles must be ({base.num_edges},) integers: 0 for train, 1 for validation, 2 for test.")
    role = role.to(torch.int8)
    if enriched is not None and not torch.equal(enriched.mixture.float().to(enriched.mixture.dtype), enriched.mixture):
        raise DataError("OGB writes float32, which does not hold these posteriors exactly; convert them to float32.")
    folder = Path(folder).resolve()
    check_replaceable(folder, "meta.json", "a set of OGB")
    with atomic_folder(folder) as out, _ogb():
        from ogb.io import DatasetSaver

        saver = DatasetSaver(name, is_hetero=True, version=1, root=str(out / "made"))
        saver.save_graph_list([_raw(_with_edges(graph, role == TRAIN))])
        saver.save_split({key: _triples(base, role == value) for key, value in _splits().items()}, "given")
        _write_mapping(out / "mapping", graph, role)
        saver.copy_mapping_dir(str(out / "mapping"))
        shutil.rmtree(out / "mapping")
        saver.save_task_info("link prediction", "mrr")
        made, saver.dataset_dir = Path(saver.dataset_dir), str(folder)
        meta: dict[str, str] = saver.get_meta_dict()
        meta["version"] = str(meta["version"])
        meta["additional edge files"] = "edge_weight" if enriched is None else "edge_weight,edge_posterior"
        for path in made.iterdir():
            path.rename(out / path.name)
        # with it goes meta_dict.pt, which does not name the edge files
        shutil.rmtree(made.parent)
        write_json(out / "meta.json", meta)
    return meta


def from_ogb(folder: Path | str) -> tuple[AnyGraph, Tensor]:
    """The graph that :func:`to_ogb` wrote, held-out edges included, and the role of each of its edges, ``(E,)`` int8.

    Raises:
        MissingExtraError: ogb is not installed.
        DataError: the folder does not hold such a graph.
    """
    folder = Path(folder)
    settle_folder(folder)
    about = read_json(folder / "mapping" / "graph.json")
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise DataError(f"{folder / 'mapping' / 'graph.json'} is not a graph of format {FORMAT}; write it anew.")
    try:
        with _ogb():
            from ogb.io.read_graph_raw import read_binary_heterograph_raw

            raw = read_binary_heterograph_raw(str(folder / "raw"))[0]
        held = load_file(folder / "mapping" / "held-out.safetensors")
        typed = {_read_type(key): _read_edges(raw, key) for key in raw["edge_index_dict"]}
        counts = raw["num_nodes_dict"]
        items, attributes = (node_names(kind, int(counts[kind]), about[f"{kind}s"]) for kind in NODE_KINDS)
        graph = join_types(typed, items, attributes, about["relations"], about.get("latent"))
    except (RuntimeError, SafetensorError, OSError, KeyError, ValueError, BadZipFile) as error:
        raise DataError(f"{folder} does not hold a whole graph ({error}); write it anew.") from None
    return _with_held_out(graph, held)


@contextlib.contextmanager
def _ogb() -> Iterator[None]:
    """For imports of ogb and calls of it, which print as they go."""
    # it asks the network for a newer version of itself where the package outdated can be imported
    absent = "outdated" not in sys.modules
    if absent:
        sys.modules["outdated"] = None  # type: ignore[assignment]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                import ogb.io  # noqa: F401
            except ImportError:
                raise MissingExtraError(
                    "OGB's format needs the package ogb; install it with 'pip install lrdgraph[ogb]'."
                ) from None
            yield
    finally:
        if absent:
            del sys.modules["outdated"]


def _splits() -> dict[str, int]:
    return {("valid" if role == "validation" else role): value for role, value in ROLES.items()}


def _with_edges(graph: AnyGraph, chosen: Tensor) -> AnyGraph:
    base, enriched = parts(graph)
    held = (base.edge_index[:, chosen], base.edge_type[chosen], base.edge_weight[chosen])
    some = ItemGraph(*held, base.relations, base.items, base.attributes)
    if enriched is None:
        return some
    return EnrichedGraph(some, enriched.latent_index, enriched.mixture.detach(), enriched.latent)


def _raw(graph: AnyGraph) -> dict[str, Any]:
    base, _ = parts(graph)
    typed = split_by_type(graph)
    names = {edge_type: (edge_type[0], _spelled(edge_type[1]), edge_type[2]) for edge_type in typed}
    raw: dict[str, Any] = {
        "num_nodes_dict": {"item": base.num_items, "attribute": len(base.attributes)},
        "edge_index_dict": {names[key]: edges.index.cpu().numpy() for key, edges in typed.items()},
        "edge_weight": {names[key]: _single(edges.weight) for key, edges in typed.items()},
    }
    if MIXED in typed:
        raw["edge_posterior"] = {MIXED: _single(typed[MIXED].posterior)}
    return raw


def _single(values: Tensor | None) -> np.ndarray:
    assert values is not None
    return values.float().cpu().numpy()


def _triples(graph: ItemGraph, chosen: Tensor) -> dict[str, Any]:
    nodes = graph.edge_index[:, chosen].cpu()
    is_attribute = nodes > graph.num_items
    local = nodes - 1 - is_attribute * graph.num_items
    kinds = np.array(["item", "attribute"])[is_attribute.long().numpy()]
    return {
        **{"head": local[0], "relation": graph.edge_type[chosen].cpu(), "tail": local[1]},
        **{"weight": graph.edge_weight[chosen].cpu(), "head_type": kinds[0].tolist(), "tail_type": kinds[1].tolist()},
    }


def _write_mapping(folder: Path, graph: AnyGraph, role: Tensor) -> None:
    folder.mkdir()
    (folder / "README.md").write_text(_README, encoding="utf-8")
    write_json(folder / "graph.json", {"format": FORMAT, **describe(graph)})
    base, _ = parts(graph)
    held = role != TRAIN
    columns = (base.edge_index[:, held], base.edge_type[held], base.edge_weight[held], role[held])
    save_file(dict(zip(_HELD, (c.contiguous() for c in columns), strict=True)), folder / "held-out.safetensors")


def _with_held_out(graph: AnyGraph, held: dict[str, Tensor]) -> tuple[AnyGraph, Tensor]:
    base, enriched = parts(graph)
    index = torch.cat([base.edge_index, held["edge_index"]], dim=1)
    kinds = torch.cat([base.edge_type, held["edge_type"]])
    weight = torch.cat([base.edge_weight, held["edge_weight"]])
    role = torch.cat([torch.zeros(base.num_edges, dtype=torch.int8), held["role"]])
    order = torch.from_numpy(np.lexsort((index[0].numpy(), index[1].numpy(), kinds.numpy())))
    columns = (index[:, order], kinds[order], weight[order])
    whole = ItemGraph(*columns, base.relations, base.items, base.attributes)
    if enriched is None:
        return whole, role[order]
    return EnrichedGraph(whole, enriched.latent_index, enriched.mixture, enriched.latent), role[order]


def _spelled(name: str) -> str:
    """A relation's name as the name of an array in a file, where ``___`` parts it from the types of its ends."""
    return re.sub(r"^_|_$|(?<=_)_|_(?=_)", "%5F", quote(name, safe="^ "))


def _read_type(key: tuple[str, ...]) -> tuple[str, str, str]:
    source, name, destination = key
    return source, unquote(name), destination


def _read_edges(raw: dict[str, Any], key: tuple[str, ...]) -> Edges:
    columns = (raw["edge_index_dict"][key], raw["edge_weight"][key], raw.get("edge_posterior", {}).get(key))
    return Edges(*(None if column is None else torch.from_numpy(column) for column in columns))  # type: ignore[arg-type]
