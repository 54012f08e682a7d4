"""Time and memory of one step of the graph layers, ours against those of PyTorch Geometric and DGL.

    python -m benchmarks.layers --edges 1000000 --out benchmarks/results/layers.json

A step is forward and backward through one layer on a random graph, one relation per edge, equal width in and out. Every
layer has a process of its own. Memory is the largest resident memory of the steps less that before the first, which
holds the graph, the layer and the libraries. Without ``--only`` all layers are run; times are comparable on a quiet
machine alone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from lrdgraph.experiment.provenance import peak_memory, provenance
from lrdgraph.nn import RelationalAdjacency, RelationalAttentionConv, RelationalConv
from lrdgraph.storage import write_json

Step = Callable[[], Tensor]
WARM_UP = 1
NUMBERS = {"nodes": 100_000, "edges": 1_000_000, "width": 64, "relations": 20, "mixture": 8, "repeats": 3, "threads": 1}
OTHERS = ("PyG ", "DGL ")


class Problem:
    """A random graph: ``nodes``, ``edges``, ``width``, ``relations`` and ``mixture`` are the numbers of each."""

    def __init__(self, sizes: argparse.Namespace) -> None:
        random = torch.Generator().manual_seed(0)
        self.nodes, self.edges, self.width = sizes.nodes, sizes.edges, sizes.width
        self.relations, self.mixture = sizes.relations, sizes.mixture
        self.index = torch.randint(self.nodes, (2, self.edges), generator=random)
        self.kind = torch.randint(self.relations, (self.edges,), generator=random)
        self.x = torch.randn(self.nodes, self.width, generator=random, requires_grad=True)

    def weights(self) -> Tensor:
        return torch.rand(self.edges, self.mixture, requires_grad=True)


def ours(problem: Problem) -> Step:
    """Our convolution on edges that were sorted before."""
    layer = RelationalConv(problem.width, problem.width, problem.relations)
    adjacency = RelationalAdjacency.from_edges(problem.index, problem.kind, num_nodes=problem.nodes)
    return lambda: layer(problem.x, adjacency)


def ours_unsorted(problem: Problem) -> Step:
    """Our convolution, which sorts the edges at each step."""
    layer = RelationalConv(problem.width, problem.width, problem.relations)
    return lambda: layer(problem.x, problem.index, problem.kind)


def ours_attention(problem: Problem) -> Step:
    """Our attention of four heads."""
    layer = RelationalAttentionConv(problem.width, problem.width // 4, problem.relations, heads=4)
    adjacency = RelationalAdjacency.from_edges(problem.index, problem.kind, num_nodes=problem.nodes)
    return lambda: layer(problem.x, adjacency)


def _mixed(problem: Problem) -> RelationalAdjacency:
    none = torch.empty(2, 0, dtype=torch.int64)
    return RelationalAdjacency.from_edges(none, num_nodes=problem.nodes, latent_index=problem.index)


def ours_mixture(problem: Problem) -> Step:
    """Our convolution with a mixture on every edge."""
    layer = RelationalConv(problem.width, problem.width, 0, problem.mixture)
    adjacency, weights = _mixed(problem), problem.weights()
    return lambda: layer(problem.x, adjacency, mixture=weights)


def ours_attention_mixture(problem: Problem) -> Step:
    """Our attention with a mixture on every edge."""
    layer = RelationalAttentionConv(problem.width, problem.width // 4, 0, problem.mixture, heads=4)
    adjacency, weights = _mixed(problem), problem.weights()
    return lambda: layer(problem.x, adjacency, mixture=weights)


def ours_dgl(problem: Problem) -> Step:
    """Our convolution by DGL's message passing."""
    from lrdgraph.nn.dgl_conv import DGLRelationalConv

    layer, graph = DGLRelationalConv(problem.width, problem.width, problem.relations), _dgl_graph(problem)
    return lambda: layer(graph, problem.x, problem.kind)


def ours_dgl_mixture(problem: Problem) -> Step:
    """The same with a mixture on every edge."""
    from lrdgraph.nn.dgl_conv import DGLRelationalConv

    layer, graph = DGLRelationalConv(problem.width, problem.width, 1, problem.mixture), _dgl_graph(problem)
    none, weights = torch.zeros(problem.edges), problem.weights()
    return lambda: layer(graph, problem.x, none.long(), none, weights)


def pyg(name: str, **settings: Any) -> Callable[[Problem], Step]:
    """A layer of PyTorch Geometric."""

    def make(problem: Problem) -> Step:
        import torch_geometric.nn

        layer = getattr(torch_geometric.nn, name)(problem.width, problem.width, problem.relations, **settings)
        return lambda: layer(problem.x, problem.index, problem.kind)

    return make


def dgl(**settings: Any) -> Callable[[Problem], Step]:
    """DGL's ``RelGraphConv``."""

    def make(problem: Problem) -> Step:
        graph = _dgl_graph(problem)
        from dgl.nn import RelGraphConv

        layer = RelGraphConv(problem.width, problem.width, problem.relations, **settings)
        return lambda: layer(graph, problem.x, problem.kind)

    return make


def _dgl_graph(problem: Problem) -> Any:
    os.environ.setdefault("DGLBACKEND", "pytorch")
    import dgl

    graph = dgl.graph((problem.index[0], problem.index[1]), num_nodes=problem.nodes)
    graph.create_formats_()
    return graph


LAYERS: dict[str, Callable[[Problem], Step]] = {
    "RelationalConv": ours,
    "RelationalConv, edges unsorted": ours_unsorted,
    "RelationalAttentionConv": ours_attention,
    "RelationalConv, mixtures": ours_mixture,
    "RelationalAttentionConv, mixtures": ours_attention_mixture,
    "DGLRelationalConv": ours_dgl,
    "DGLRelationalConv, mixtures": ours_dgl_mixture,
    "PyG RGCNConv": pyg("RGCNConv"),
    "PyG RGCNConv, 4 bases": pyg("RGCNConv", num_bases=4),
    "PyG RGCNConv, 64 blocks": pyg("RGCNConv", num_blocks=64),
    "PyG FastRGCNConv": pyg("FastRGCNConv"),
    "PyG FastRGCNConv, 64 blocks": pyg("FastRGCNConv", num_blocks=64),
    "DGL RelGraphConv": dgl(),
    "DGL RelGraphConv, 4 bases": dgl(regularizer="basis", num_bases=4),
    "DGL RelGraphConv, 16 blocks": dgl(regularizer="bdd", num_bases=16),
}


def measure(name: str, sizes: argparse.Namespace) -> dict[str, Any]:
    """Steps of one layer in this process."""
    small = Problem(argparse.Namespace(**vars(sizes) | {"nodes": 100, "edges": 100}))
    LAYERS[name](small)().sum().backward()  # loads what libraries load late
    problem = Problem(sizes)
    began = time.perf_counter()
    step = LAYERS[name](problem)
    prepared = time.perf_counter() - began
    before, seconds = resident(), []
    direction = torch.ones(problem.nodes, problem.width)
    for _ in range(WARM_UP + sizes.repeats):
        began = time.perf_counter()
        step().backward(direction)
        seconds.append(round(time.perf_counter() - began, 4))
    used = max(peak_memory() * 1e9 - before, 0)
    channels = problem.width + (problem.mixture if "mixtures" in name else 0)
    return {
        "prepare_seconds": round(prepared, 3),
        "seconds": seconds[WARM_UP:],
        "median_seconds": round(median(seconds[WARM_UP:]), 4),
        "memory_gb": round(used / 1e9, 3),
        "bytes_per_edge_and_channel": round(used / problem.edges / channels, 2),
    }


def resident() -> float:
    """Resident memory of this process, bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def in_a_process(name: str, sizes: argparse.Namespace) -> dict[str, Any]:
    """What :func:`measure` finds in a fresh process, or why there is nothing to find."""
    needed = 2 * sizes.edges * sizes.width**2 * 4
    if name == "PyG FastRGCNConv" and needed > sizes.memory * 1e9:
        return {"left_out": f"gathers a matrix for each edge, twice {needed / 2e9:.1f} GB with gradients"}
    numbers = [f"--{key}={getattr(sizes, key)}" for key in NUMBERS]
    command = [sys.executable, "-m", "benchmarks.layers", "--in-this-process", name, *numbers]
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=sizes.timeout,
            env=os.environ | {"OMP_NUM_THREADS": str(sizes.threads)},
        )
    except subprocess.TimeoutExpired:
        return {"left_out": f"took more than {sizes.timeout} s"}
    except subprocess.CalledProcessError as error:
        if error.returncode != -signal.SIGKILL:
            raise
        return {"left_out": "was killed, which is what happens when memory runs out"}
    return json.loads(done.stdout.splitlines()[-1])


def compare(found: dict[str, dict[str, Any]]) -> dict[str, float]:
    """How many times as long as ours the others take, at one relation per edge."""
    others = [row["median_seconds"] for name, row in found.items() if name.startswith(OTHERS) and "seconds" in row]
    result: dict[str, float] = {}
    for name in ("RelationalConv", "RelationalConv, edges unsorted"):
        if others and name in found:
            own = found[name]["median_seconds"]
            result |= {f"fastest other / {name}": round(min(others) / own, 2)}
            result |= {f"slowest other / {name}": round(max(others) / own, 2)}
    return result


def main(arguments: list[str] | None = None) -> None:
    """Run the layers and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--memory", type=float, default=12.0, help="GB that a layer may need for what it gathers")
    parser.add_argument("--timeout", type=int, default=600, help="seconds for one layer")
    parser.add_argument("--only", nargs="*", choices=LAYERS, help="these layers alone")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--in-this-process", choices=LAYERS, help=argparse.SUPPRESS)
    sizes = parser.parse_args(arguments)
    torch.set_num_threads(sizes.threads)
    if sizes.in_this_process:
        print(json.dumps(measure(sizes.in_this_process, sizes)))
        return
    found = {}
    for name in sizes.only or LAYERS:
        found[name] = in_a_process(name, sizes)
        print(f"{name}: {found[name]}", flush=True)
    numbers = {key: getattr(sizes, key) for key in NUMBERS}
    rested = provenance()
    rested["versions"]["dgl"] = version("dgl")
    result = {"graph": numbers, "layers": found, "ratios": compare(found)} | rested
    print(json.dumps(result["ratios"], indent=2))
    if sizes.out:
        write_json(sizes.out, result)


if __name__ == "__main__":
    main()
