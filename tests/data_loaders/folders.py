"""One small folder for each format; a test changes one file of it and loads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from lrdgraph.corpus import Corpus, Triples
from lrdgraph.vocabulary import Vocabulary
from tests.data_loaders.amazon_folders import amazon_2014, amazon_2018, amazon_2023


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="latin-1" if name == "u.item" else "utf-8")
    return folder


def rechorus(folder: Path) -> Path:
    return write(
        folder,
        {
            "train.csv": "user_id\titem_id\ttime\n1\t1\t86400\n1\t2\t172800\n2\t3\t86400\n",
            "dev.csv": "user_id\titem_id\ttime\tneg_items\n1\t3\t259200\t[4, 1, 4]\n2\t1\t172800\t[2,2,4]\n",
            "test.csv": "user_id\titem_id\ttime\tneg_items\n1\t4\t345600\t[1, 2, 3]\n2\t2\t172800\t[1, 3, 4]\n",
            "item_meta.csv": "item_id\ti_category\ti_brand\tr_complement\tr_substitute\n"
            "2\t1\t0\t[1, 3]\t[]\n1\t1\t3\t[2]\t[4]\n3\t2\t\t[]\t[]\n4\t0\t3\t[1]\t[]\n",
            "Shop.item2index": "ASIN1\t1\nASIN2\t2\nASIN3\t3\nASIN4\t4\n",
            "Shop.text": 'id\ttext\nASIN2\tA 12" ruler\nASIN1\tPaper\nASIN4\tTape, clear\n',
        },
    )


def recbole(folder: Path) -> Path:
    return write(
        folder,
        {
            "toy.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
            "u1\ti1\t5\t100.0\nu2\ti2\t2\t100\nu1\ti1\t5\t100.0\nu1\ti1\t4\t100\nu1\ti3\t3\t300\n",
            "toy.item": "item_id:token\tname:token_seq\tprice:float\tvector:float_seq\n"
            "i2\tBlue pen\t1.5\t0.1 0.2\ni1\t\t\t\n",
            "toy.kg": "head_id:token\trelation_id:token\ttail_id:token\n"
            "m.1\tmade.by\tm.9\nm.8\tmade\tm.2\nm.1\tsequel\tm.2\nm.8\tborn.in\tm.7\n",
            "toy.link": "item_id:token\tentity_id:token\ni1\tm.1\ni2\tm.2\ni77\tm.7\n",
        },
    )


def movielens(folder: Path) -> Path:
    flags = {"Comedy": 5, "Drama": 8, "unknown": 0}

    def film(number: int, title: str, *genres: str) -> str:
        on = {flags[genre] for genre in genres}
        return "|".join(
            [str(number), title, "01-Jan-1995", "", "http://x", *("1" if g in on else "0" for g in range(19))]
        )

    films = [
        film(1, "Été (1995)", "Comedy", "Drama"),
        film(2, "Nobody (Nadie) (1931)", "Drama"),
        film(3, "?", "unknown"),
    ]
    ratings = "196\t1\t3\t881250949\n186\t2\t4\t881250949\n196\t2\t5\t881250950\n"
    return write(folder, {"u.data": ratings, "u.item": "\n".join(films) + "\n"})


def tables(folder: Path) -> Path:
    return write(
        folder,
        {
            "interactions.csv": "user_id,item_id,timestamp\nann,pen,100\nbob,ink,200\nann,cup,300\nann,cup,300\n",
            "items.csv": 'item,title,note\npen,"A pen, blue",\npad,Pad,"says ""hi"""\nink,,\n',
            "triples.tsv": "# made by hand\nhead\trelation\ttail\tposterior\n"
            "pen\tneeds\tink\t0.75\npen\tcolour\tblue\t1\nblue\tkind of\tcolour\t0.5\nsea\tshows\tpad\t0.25\n",
        },
    )


def saved(folder: Path) -> Path:
    corpus = Corpus(
        name="small",
        users=Vocabulary(["ann", "bob"], "user"),
        items=Vocabulary(["pen", "ink", "pad"], "item"),
        user=np.array([1, 1, 1, 2]),
        item=np.array([1, 2, 3, 1]),
        time=np.array([5, 5, 7, 1]),
        fields=pl.DataFrame({"title": ["Pen", "", "Päd"]}),
        attributes=Vocabulary(["blue"], "attribute"),
        triples=Triples(
            np.array([1, 1]), np.array([0, 1]), np.array([2, 4]), ("needs", "colour"), np.array([0.5, 1], np.float32)
        ),
        split=np.array([0, 1, 2, 0], dtype=np.int8),
        candidates={"validation": np.array([[1, 3, 1]]), "test": np.array([[1, 2, 2]])},
        dropped={"nothing": 1},
    )
    return corpus.save(folder)


WRITERS: dict[str, Callable[[Path], Path]] = {
    "lrdgraph": saved,
    "rechorus": rechorus,
    "recbole": recbole,
    "movielens": movielens,
    "tables": tables,
    "amazon-2014": amazon_2014,
    "amazon-2018": amazon_2018,
    "amazon-2023": amazon_2023,
}
