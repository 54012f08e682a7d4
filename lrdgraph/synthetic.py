"""A made-up shop of any size, whose relations are known: for tests, and to measure what large data cost.

Items come in *families* of eight, one for each part: of one line of products the device, its refill, its case …
Planted relation ``r`` leads from each part of a family to the part ``r + 1`` places on. A shopper's next item is, with
probability ``follow``, where a relation leads from the last one, and else of a family drawn from a Zipf law. All parts
of a family are drawn alike often, so that following relations does not bend the law. Titles tell family and part.

Every number drawn is a function of the seed and its own position alone (Philox, a generator with a counter: Salmon et
al. 2011), so that the files are the same however many rows are made at once.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lrdgraph.errors import ConfigError
from lrdgraph.storage import atomic_folder, check_replaceable, write_json

PARTS = ("device", "refill", "case", "stand", "cable", "manual", "cleaner", "bag")
FAMILY = len(PARTS)
DAY = 86_400
FIRST_MOMENT, YEARS = 1_500_000_000, 5
SOON, LATE = 3.0, 30.0
"""Mean days to an item that a relation leads to, and to any other."""
LEAST, MOST = 3, 200
"""Events of one user."""
DEPARTMENTS, BRANDS, BRANDS_EACH, STYLES = 64, 256, 16, 512
ROW_GROUP = 1 << 18

# streams of chance, each with a counter of its own
_LENGTH, _FOLLOWS, _RELATION, _FAMILY, _PART, _START, _GAP, _DEPARTMENT, _BRAND, _FIRST, _SECOND = range(11)


@dataclass(frozen=True)
class SyntheticSettings:
    """What :func:`synthesize` makes.

    Attributes:
        items: ``N``, a multiple of 8.
        interactions_per_item: there are exactly ``N`` times as many interactions.
        events_per_user: their mean number; no user but the last has fewer than 3, or more than 200.
        follow: share of transitions along a planted relation; 0 plants nothing, a control.
        relations: how many are planted, at most 7.
        recorded: how many of them, the first, are written down as triples; the others are there to be discovered.
        zipf: exponent of popularity: the family of rank ``n`` is drawn in proportion to ``n ** -zipf``.
        seed: of all chance.
    """

    items: int = 100_000
    interactions_per_item: int = 10
    events_per_user: float = 10.0
    follow: float = 0.5
    relations: int = 4
    recorded: int = 1
    zipf: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.items < FAMILY or self.items % FAMILY:
            more = max(-(-self.items // FAMILY), 1) * FAMILY
            raise ConfigError(f"items is {self.items}; it must be a multiple of {FAMILY}, as {more}.")
        ranges = {
            "interactions_per_item": (1, np.inf),
            "events_per_user": (LEAST + 1, MOST / 4),
            "follow": (0, 1),
            "relations": (1, FAMILY - 1),
            "recorded": (0, self.relations),
            "zipf": (0, np.inf),
            "seed": (0, 2**63),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value}; it must lie between {low} and {high}.")

    @property
    def interactions(self) -> int:
        """``M``."""
        return self.items * self.interactions_per_item

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the planted relations."""
        return tuple(f"planted_{r}" for r in range(self.relations))


def synthesize(
    folder: Path | str, settings: SyntheticSettings | None = None, *, block: int = 1 << 16
) -> dict[str, Any]:
    """Write the tables of a shop, as ``data_loaders.tables`` reads them, block by block.

    ``interactions.parquet`` holds ``user, item, time`` by user; ``items.parquet`` ``item, title, brand, category``, in
    scattered order; ``triples.parquet`` brand, category and the recorded relations. ``planted.parquet``, which no
    loader reads, holds all planted triples, and ``synthetic.json`` the settings. Equal settings give equal bytes,
    whatever the block. Memory is some fifty bytes for each family, and a block.

    Args:
        folder: replaced as a whole when all is written.
        settings: of the shop.
        block: items or users made at once.

    Returns:
        The settings and the number of users, as ``synthetic.json`` holds them.

    Raises:
        ConfigError: ``block`` is less than 1, or the folder holds files that are no such shop.
    """
    settings = settings or SyntheticSettings()
    folder = Path(folder)
    if block < 1:
        raise ConfigError(f"block is {block}; it must be 1 or more.")
    check_replaceable(folder, "synthetic.json", "synthetic tables")
    about = asdict(settings) | {"interactions": settings.interactions}
    with atomic_folder(folder) as out:
        _write(item_blocks(settings, block), out / "items.parquet")
        _write(triple_blocks(settings, block), out / "triples.parquet")
        _write(planted_blocks(settings, block), out / "planted.parquet")
        about["users"] = 0

        def counted() -> Iterator[pl.DataFrame]:
            for frame, users in interaction_blocks(settings, block):
                about["users"] += users
                yield frame

        _write(counted(), out / "interactions.parquet")
        write_json(out / "synthetic.json", about)
    return about


def partner(item: np.ndarray, relation: np.ndarray | int) -> np.ndarray:
    """Where planted relations lead: numbers ``(n,)`` of items, from 0, to such numbers."""
    return item - item % FAMILY + (item % FAMILY + relation + 1) % FAMILY


def item_ids(item: np.ndarray) -> pl.Series:
    """External ids of items by number, as long as those of Amazon."""
    return ("B" + pl.Series("item", item).cast(pl.String).str.zfill(9)).alias("item")


def interaction_blocks(settings: SyntheticSettings, block: int) -> Iterator[tuple[pl.DataFrame, int]]:
    """Columns ``user``, ``item``, ``time`` of ``block`` users at once, and how many users these are."""
    mass = np.arange(1, settings.items // FAMILY + 1, dtype=np.float64) ** -settings.zipf
    mass = np.cumsum(mass) / mass.sum()
    first_user, made = 0, 0
    while made < settings.interactions:
        users = np.arange(first_user, first_user + block)
        length = _lengths(settings, users)
        offsets = np.minimum(made + np.concatenate([[0], np.cumsum(length)]), settings.interactions)
        length = np.diff(offsets)
        users, length = users[length > 0], length[length > 0]
        item, sooner = _walk(settings, mass, made, length)
        time = _times(settings, users, made, length, sooner)
        names = "U" + pl.Series("user", users).cast(pl.String).str.zfill(9)
        owner = np.repeat(np.arange(len(users)), length)
        yield pl.DataFrame({"user": names.gather(owner), "item": item_ids(item), "time": time}), len(users)
        first_user, made = first_user + block, made + len(item)


def _lengths(settings: SyntheticSettings, users: np.ndarray) -> np.ndarray:
    # the floor of an exponential is half an event shorter than the exponential
    mean = settings.events_per_user - LEAST + 0.5
    more = -np.log1p(-_uniform(settings, _LENGTH, int(users[0]), len(users))) * mean
    return np.minimum(LEAST + more.astype(np.int64), MOST)


def _walk(
    settings: SyntheticSettings, mass: np.ndarray, start: int, length: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Items ``(m,)`` of the users' events, the first of which is event ``start``, and which of them were led to."""
    count = int(length.sum())
    led = _uniform(settings, _FOLLOWS, start, count) < settings.follow
    led[np.cumsum(length) - length] = False
    # a relation adds to the part, so that a walk is a sum of shifts since its family was drawn
    relation = (_uniform(settings, _RELATION, start, count) * settings.relations).astype(np.int64)
    shift = np.cumsum(np.where(led, relation + 1, 0))
    drawn = np.maximum.accumulate(np.where(led, 0, np.arange(count)))
    family = np.searchsorted(mass, _uniform(settings, _FAMILY, start, count), side="right")[drawn]
    part = (_uniform(settings, _PART, start, count) * FAMILY).astype(np.int64)[drawn]
    return family.clip(max=len(mass) - 1) * FAMILY + (part + shift - shift[drawn]) % FAMILY, led


def _times(
    settings: SyntheticSettings, users: np.ndarray, start: int, length: np.ndarray, sooner: np.ndarray
) -> np.ndarray:
    begin = (_uniform(settings, _START, int(users[0]), len(users)) * YEARS * 365 * DAY).astype(np.int64)
    gap = -np.log1p(-_uniform(settings, _GAP, start, len(sooner))) * np.where(sooner, SOON, LATE) * DAY
    first = np.cumsum(length) - length
    gap = gap.astype(np.int64)
    gap[first] = 0
    passed = np.cumsum(gap)
    return FIRST_MOMENT + np.repeat(begin - passed[first], length) + passed


def item_blocks(settings: SyntheticSettings, block: int) -> Iterator[pl.DataFrame]:
    """Columns ``item``, ``title``, ``brand``, ``category``."""
    words = _words(DEPARTMENTS + BRANDS + 2 * STYLES)
    nouns, brands, first, second = np.split(words, np.cumsum([DEPARTMENTS, BRANDS, STYLES]))
    families = settings.items // FAMILY
    department = _picked(settings, _DEPARTMENT, families, DEPARTMENTS)
    brand = (department * BRANDS_EACH + _picked(settings, _BRAND, families, BRANDS_EACH)) % BRANDS
    style = _picked(settings, _FIRST, families, STYLES), _picked(settings, _SECOND, families, STYLES)
    for item in _scattered(settings.items, block):
        of = item // FAMILY
        told = [brands[brand[of]], first[style[0][of]], second[style[1][of]], nouns[department[of]]]
        told.append(np.array(PARTS, dtype=object)[item % FAMILY])
        title = pl.select(pl.concat_str([pl.Series(str(n), part) for n, part in enumerate(told)], separator=" "))
        columns = {"item": item_ids(item), "title": title.to_series(), "brand": told[0], "category": told[3]}
        yield pl.DataFrame(columns)


def triple_blocks(settings: SyntheticSettings, block: int) -> Iterator[pl.DataFrame]:
    """Columns ``head``, ``relation``, ``tail``: what a shop would have written down."""
    for name in ("brand", "category"):
        for table in item_blocks(settings, block):
            yield table.select(head="item", relation=pl.lit(name), tail=pl.lit(f"{name}:") + pl.col(name))
    yield from planted_blocks(settings, block, settings.recorded)


def planted_blocks(settings: SyntheticSettings, block: int, relations: int | None = None) -> Iterator[pl.DataFrame]:
    """Columns ``head``, ``relation``, ``tail`` of the planted relations, or of the first ``relations`` of them."""
    for number, name in enumerate(settings.names[:relations]):
        for item in _scattered(settings.items, block):
            ends = {"head": item_ids(item), "tail": item_ids(partner(item, number))}
            yield pl.DataFrame(ends).select("head", pl.lit(name).alias("relation"), "tail")


def _scattered(items: int, block: int) -> Iterator[np.ndarray]:
    """All numbers of items, in an order that parts the members of a family, as they are in real tables."""
    step = next(n for n in range(int(0.618 * items), 2 * items) if gcd(n, items) == 1)
    for start in range(0, items, block):
        yield np.arange(start, min(start + block, items)) * step % items


def _picked(settings: SyntheticSettings, stream: int, count: int, choices: int) -> np.ndarray:
    """One of ``choices`` for each of ``count`` families."""
    return (_uniform(settings, stream, 0, count) * choices).astype(np.int16)


def _words(count: int) -> np.ndarray:
    """Distinct words of three syllables ``(count,)``."""
    syllables = np.array([c + v for c in "bdfgklmnprstvz" for v in "aeiou"])
    order = np.arange(count) * 7919 % len(syllables) ** 3  # no two that follow each other look alike
    digits = (order, order // len(syllables), order // len(syllables) ** 2)
    parts = [syllables[digit % len(syllables)] for digit in digits]
    return np.char.add(np.char.add(parts[0], parts[1]), parts[2]).astype(object)


def _uniform(settings: SyntheticSettings, stream: int, start: int, count: int) -> np.ndarray:
    """Numbers ``start … start + count - 1`` of a stream, float64 in [0, 1)."""
    source = np.random.Philox(key=np.array([settings.seed, stream], dtype=np.uint64))
    source.advance(start // 4)  # one count gives four numbers
    raw = source.random_raw(count + start % 4)[start % 4 :]
    return (raw >> np.uint64(11)) * 2.0**-53


def _write(frames: Iterator[pl.DataFrame], path: Path) -> None:
    """One Parquet file of frames that are never held together."""
    parts = path.with_suffix(".parts")
    parts.mkdir()
    for number, frame in enumerate(frames):
        frame.write_parquet(parts / f"{number:07}.parquet", compression="lz4")
    pl.scan_parquet(sorted(parts.iterdir()), glob=False).sink_parquet(path, row_group_size=ROW_GROUP)
    shutil.rmtree(parts)
