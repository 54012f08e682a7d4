"""What a piece of work asks of a machine: operations of its products, and bytes that its operators read and write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten

BAGS = {"_embedding_bag", "_embedding_bag_forward_only"}
GATHERS = BAGS | {"index_select", "index", "gather", "embedding"}
"""Operators that read some rows of a table."""
STILL = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "resize_", "_unsafe_view"}
"""Operators that move nothing, besides views."""
OVERWRITES = {"copy_", "fill_", "zero_", "random_", "bernoulli_", "normal_", "uniform_", "exponential_"}
"""Operators in place that do not read what they write over."""


@dataclass
class Work:
    """Of one operator, or of all.

    Attributes:
        calls: how often.
        operations: of products, dense and sparse, two for each multiply-add; all else is left to the bytes.
        moved: bytes.
    """

    calls: int = 0
    operations: float = 0
    moved: float = 0


@dataclass
class Count(TorchDispatchMode):
    """Counts all that runs within it, forward and backward.

    ::

        with Count() as count:
            loss().backward()
        print(count.total)

    ``moved`` adds up what every operator reads and writes, as if nothing were ever fused or found in a cache: an upper
    bound of the traffic. ``compulsory`` is a lower one: what was there before and is read, and what was there before
    and is written, each byte once. Views move nothing; of a table that rows are gathered from, no more than the rows
    counts; a dimension that a tensor was expanded along is read once.

    Attributes:
        by_operator: name → :class:`Work`.
    """

    by_operator: dict[str, Work] = field(default_factory=lambda: defaultdict(Work))

    def __post_init__(self) -> None:
        super().__init__()
        self._made: set[int] = set()
        self._read: dict[int, int] = {}
        self._written: dict[int, int] = {}

    @property
    def total(self) -> Work:
        each = self.by_operator.values()
        return Work(sum(w.calls for w in each), sum(w.operations for w in each), sum(w.moved for w in each))

    @property
    def compulsory(self) -> int:
        return sum(self._read.values()) + sum(self._written.values())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.namespace == "lrdgraph":
            # our own operators are Python below the tape: what they are made of is counted
            device = tree_leaves(args)[0].device.type
            keys = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA if device == "cuda" else torch._C.DispatchKey.CPU)
            with self:
                return func.redispatch(keys, *args, **kwargs)
        if func._overloadpacket not in flop_registry:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        if func.namespace == "aten" and not _is_view(func):
            self._add(func, args, kwargs, out)
        return out

    def _add(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        name = func._overloadpacket.__name__
        written = list(_tensors(out))
        if name in STILL:
            if name != "_unsafe_view":
                self._made |= {t.untyped_storage().data_ptr() for t in written}
            return
        into = {t.data_ptr() for t in written}
        given = [*_tensors(args), *_tensors(kwargs)]
        read = given
        if name in OVERWRITES or "out" in kwargs:
            read = [t for t in given if t.data_ptr() not in into]
        sizes = _read_sizes(name, read, written)
        work = self.by_operator[name]
        work.calls += 1
        work.operations += operations(func, args, kwargs, out)
        work.moved += sum(map(size, written)) + sum(sizes)
        for tensor, moved in zip(read, sizes, strict=True):
            self._touch(self._read, tensor, moved)
        places = {t.untyped_storage().data_ptr() for t in given}
        for tensor in written:
            place = tensor.untyped_storage().data_ptr()
            if place in places:
                self._touch(self._written, tensor, size(tensor))
            else:
                self._made.add(place)

    def _touch(self, seen: dict[int, int], tensor: Tensor, moved: int) -> None:
        place = tensor.untyped_storage().data_ptr()
        if place not in self._made:
            whole = tensor.untyped_storage().nbytes()
            seen[place] = min(whole, max(moved, seen.get(place, 0)))


def size(tensor: Tensor) -> int:
    """Bytes of a tensor; a dimension that it was expanded along counts once."""
    held = zip(tensor.shape, tensor.stride(), strict=True)
    return tensor.element_size() * prod(length for length, step in held if step or not length)


def operations(func: Any, args: Any, kwargs: Any, out: Any) -> float:
    """Of one call of an operator; 0 for one that is no product."""
    packet = func._overloadpacket
    if packet.__name__ in BAGS:
        # a sparse matrix times a dense table: an entry for each index
        return 2.0 * args[1].numel() * args[0].shape[1]
    if packet is aten._scaled_dot_product_flash_attention_for_cpu:
        return _attention(*args[:3], products=1)
    if packet is aten._scaled_dot_product_flash_attention_for_cpu_backward:
        return _attention(*args[1:4], products=2.5)  # the forward product again, and four of the gradient
    formula = flop_registry.get(packet) or flop_registry.get(_IN_PLACE.get(packet))
    if formula is None:
        return 0.0
    return float(formula(*args, **{k: v for k, v in kwargs.items() if k != "out"}, out_val=out))


_IN_PLACE = {aten.addmm_: aten.addmm, aten.baddbmm_: aten.baddbmm}


def _attention(query: Tensor, key: Tensor, value: Tensor, products: float) -> float:
    *lead, length, width = query.shape
    return 2.0 * prod(lead) * length * key.shape[-2] * (width + value.shape[-1]) * products


def _is_view(func: Any) -> bool:
    given = func._schema.returns
    return bool(given) and all(r.alias_info is not None and not r.alias_info.is_write for r in given)


def _tensors(held: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(held) if isinstance(leaf, Tensor) and leaf.layout is torch.strided)


def _read_sizes(name: str, read: list[Tensor], written: list[Tensor]) -> list[int]:
    found = [size(tensor) for tensor in read]
    if name in GATHERS and found:
        rows = read[1].numel() * size(read[0][:1]) if name in BAGS else size(written[0])
        found[0] = min(found[0], rows)
    return found
