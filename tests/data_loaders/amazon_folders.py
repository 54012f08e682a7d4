"""Made-up files in the layouts of the three Amazon releases."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

DAY = 86_400


def put(folder: Path, name: str, text: str) -> Path:
    """Write a file, gzipped where its name says so."""
    folder.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    (folder / name).write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return folder


def lines(rows: list[Any], form: Any = json.dumps) -> str:
    """One line for each row; a row that is a string stands as it is."""
    return "".join(f"{row if isinstance(row, str) else form(row)}\n" for row in rows)


def review(user: str, item: str, day: int, stars: float = 5.0) -> dict[str, Any]:
    """A review as the 2014 and 2018 releases have it."""
    return {
        "reviewerID": user,
        "asin": item,
        "reviewerName": "Ann \u00e9",
        "helpful": [0, 1],
        "reviewText": 'It\'s "fine".\\n',
        "overall": stars,
        "unixReviewTime": day * DAY,
        "reviewTime": "01 2, 1970",
    }


REVIEWS_2014 = [
    review("ann", "pen", 3),
    review("bob", "ink", 2, 2.0),
    repr(review("ann", "cup", 1)),  # a Python literal among JSON
    "",
    review("ann", "pen", 2),  # again, and earlier
    {"asin": "pen", "overall": 1.0, "unixReviewTime": DAY},  # nobody
    review("", "pen", 1),
    review("bob", "pad", 2),
    {**review("eve", "pen", 1), "unixReviewTime": None},
]
META_2014 = [
    {
        "asin": "pen",
        "title": "A &quot;pen&quot; &amp; <b>more</b>",
        "description": "Blue\n<br />ink &lt;3",
        "brand": "Acme",
        "categories": [["Office", "Supplies", "Pens", "Gel"], ["Toys"]],
        "related": {
            "also_bought": ["ink", "pad", "lost", "ink"],
            "also_viewed": ["cup"],
            "bought_together": ["ink"],
            "buy_after_viewing": ["gone", "cup"],
        },
        "salesRank": {"Office": 7},
        "price": 1.5,
    },
    {"asin": "lost", "title": "Nobody bought it", "related": {"also_bought": ["pen"]}},
    {"asin": "ink", "brand": "Unknown", "categories": [["Office", "Supplies"]], "related": {"also_viewed": ["pen"]}},
    {"asin": "pen", "title": "Again"},
    {"asin": "cup", "title": "Cup's", "categories": [["Home", "Kitchen", "Pens"]], "related": None},
]


def amazon_2014(folder: Path, zipped: str = ".gz") -> Path:
    put(folder, f"reviews_Pens_5.json{zipped}", lines(REVIEWS_2014))
    return put(folder, f"meta_Pens.json{zipped}", lines(META_2014, repr))


META_2018 = [
    {
        "asin": "pen",
        "title": "var aPageStart = (new Date()).getTime();\nvar ue_t0=ue_t0||+new Date();",
        "description": ["Writes.", "", "Well &amp; long"],
        "feature": ["Blue", "<i>Thin</i>"],
        "brand": "",
        "category": ["Office", "</span></span></span>", "Supplies", "Pens"],
        "also_buy": ["ink", "gone"],
        "also_view": ["pen"],
        "price": "",
        "details": {},
    },
    {"asin": "ink", "title": "Ink", "description": [], "feature": [], "category": [], "also_buy": ["pen"]},
]


def amazon_2018(folder: Path, zipped: str = ".gz") -> Path:
    reviews = [review("ann", "pen", 1), review("ann", "ink", 2), review("ann", "ink", 2), review("bob", "pen", 2)]
    put(folder, f"Pens.json{zipped}", lines(reviews))
    return put(folder, f"meta_Pens.json{zipped}", lines(META_2018))


META_2023 = [
    {
        "main_category": "Office",
        "title": "Pen",
        "features": ["Blue", "Thin"],
        "description": [],
        "store": "Shop",
        "categories": ["Office", "Supplies", "Pens"],
        "details": {"Brand": "Acme", "Size": "1"},
        "parent_asin": "pen",
        "bought_together": None,
    },
    {"title": None, "parent_asin": "ink", "store": "Shop", "categories": [], "bought_together": ["pen", "gone"]},
]
HEADER = "user_id,parent_asin,rating,timestamp"
MOMENT = 1_588_615_855_070


def amazon_2023(folder: Path, zipped: str = ".gz") -> Path:
    rows = {
        "train": [("ann", "pen", 5.0, 900, ""), ("ann", "ink", 4.0, 901, "pen"), ("bob", "ink", 2.0, 100, "")],
        "valid": [("ann", "cup", 5.0, 5000, "pen ink"), ("bob", "pen", 1.0, 950, "ink")],
        "test": [("ann", "pad", 5.0, 9000, "pen ink cup"), ("bob", "cup", 3.0, 990, "ink pen")],
    }
    for role, cells in rows.items():
        table = [f"{user},{item},{stars},{MOMENT + moment},{seen}" for user, item, stars, moment, seen in cells]
        put(folder, f"Pens.{role}.csv{zipped}", lines([f"{HEADER},history", *table]))
    return put(folder, f"meta_Pens.jsonl{zipped}", lines(META_2023))


def raw_2023(folder: Path, zipped: str = ".gz") -> Path:
    """The 2023 release as JSON Lines of reviews."""
    rows = [("ann", "pen", 5.0, 900), ("bob", "pen", 1.0, 950), ("ann", "ink", 4.0, 100)]
    found = [
        {"user_id": user, "asin": f"{item}-blue", "parent_asin": item, "rating": stars, "timestamp": MOMENT + moment}
        for user, item, stars, moment in rows
    ]
    put(folder, f"Pens.jsonl{zipped}", lines(found))
    return put(folder, f"meta_Pens.jsonl{zipped}", lines(META_2023))


def ratings_2023(folder: Path, zipped: str = ".gz") -> Path:
    """The 2023 release as a table of ratings."""
    rows = [("ann", "pen", 5.0, 900), ("bob", "pen", 1.0, 950), ("ann", "ink", 4.0, 100)]
    table = [f"{user},{item},{stars},{MOMENT + moment}" for user, item, stars, moment in rows]
    put(folder, f"Pens.csv{zipped}", lines([HEADER, *table]))
    return put(folder, f"meta_Pens.jsonl{zipped}", lines(META_2023))
