"""Where the files of the Amazon releases are published.

Addresses and categories are those of the releases' own pages: https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html
(2014), https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/ (2018) and https://amazon-reviews-2023.github.io (2023).
"""

from __future__ import annotations

from dataclasses import dataclass

from lrdgraph.errors import ConfigError, nearest

_LAB = "https://mcauleylab.ucsd.edu/public_datasets/data"


@dataclass(frozen=True)
class Published:
    """The files of one release; ``{}`` in an address is the category.

    Attributes:
        meta: address of the metadata.
        subsets: name → addresses of reviews.
        categories: those there are.
    """

    meta: str
    subsets: dict[str, tuple[str, ...]]
    categories: tuple[str, ...]


def _split(kind: str) -> tuple[str, ...]:
    at = f"{_LAB}/amazon_2023/benchmark/5core/{kind}_w_his"
    return tuple(f"{at}/{{}}.{role}.csv.gz" for role in ("train", "valid", "test"))


_2014 = "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles"
_2018 = f"{_LAB}/amazon_v2"
_2023 = f"{_LAB}/amazon_2023"

_CATEGORIES_2014 = (
    "Amazon_Instant_Video Apps_for_Android Automotive Baby Beauty Books CDs_and_Vinyl "
    "Cell_Phones_and_Accessories Clothing_Shoes_and_Jewelry Digital_Music Electronics "
    "Grocery_and_Gourmet_Food Health_and_Personal_Care Home_and_Kitchen Kindle_Store Movies_and_TV "
    "Musical_Instruments Office_Products Patio_Lawn_and_Garden Pet_Supplies Sports_and_Outdoors "
    "Tools_and_Home_Improvement Toys_and_Games Video_Games"
)
_CATEGORIES_2018 = (
    "AMAZON_FASHION All_Beauty Appliances Arts_Crafts_and_Sewing Automotive Books CDs_and_Vinyl "
    "Cell_Phones_and_Accessories Clothing_Shoes_and_Jewelry Digital_Music Electronics Gift_Cards "
    "Grocery_and_Gourmet_Food Home_and_Kitchen Industrial_and_Scientific Kindle_Store Luxury_Beauty "
    "Magazine_Subscriptions Movies_and_TV Musical_Instruments Office_Products Patio_Lawn_and_Garden "
    "Pet_Supplies Prime_Pantry Software Sports_and_Outdoors Tools_and_Home_Improvement Toys_and_Games "
    "Video_Games"
)
_CATEGORIES_2023 = (
    "All_Beauty Amazon_Fashion Appliances Arts_Crafts_and_Sewing Automotive Baby_Products "
    "Beauty_and_Personal_Care Books CDs_and_Vinyl Cell_Phones_and_Accessories Clothing_Shoes_and_Jewelry "
    "Digital_Music Electronics Gift_Cards Grocery_and_Gourmet_Food Handmade_Products Health_and_Household "
    "Health_and_Personal_Care Home_and_Kitchen Industrial_and_Scientific Kindle_Store Magazine_Subscriptions "
    "Movies_and_TV Musical_Instruments Office_Products Patio_Lawn_and_Garden Pet_Supplies Software "
    "Sports_and_Outdoors Subscription_Boxes Tools_and_Home_Improvement Toys_and_Games Unknown "
    "Video_Games"
)

SOURCES = {
    "amazon-2014": Published(
        f"{_2014}/meta_{{}}.json.gz",
        {"5-core": (f"{_2014}/reviews_{{}}_5.json.gz",), "full": (f"{_2014}/reviews_{{}}.json.gz",)},
        tuple(_CATEGORIES_2014.split()),
    ),
    "amazon-2018": Published(
        f"{_2018}/metaFiles2/meta_{{}}.json.gz",
        {"5-core": (f"{_2018}/categoryFilesSmall/{{}}_5.json.gz",), "full": (f"{_2018}/categoryFiles/{{}}.json.gz",)},
        tuple(_CATEGORIES_2018.split()),
    ),
    "amazon-2023": Published(
        f"{_2023}/raw/meta_categories/meta_{{}}.jsonl.gz",
        {
            "5-core": _split("last_out"),
            "5-core-temporal": _split("timestamp"),
            "5-core-ratings": (f"{_2023}/benchmark/5core/rating_only/{{}}.csv.gz",),
            "full": (f"{_2023}/raw/review_categories/{{}}.jsonl.gz",),
        },
        tuple(_CATEGORIES_2023.split()),
    ),
}


def addresses(name: str, subset: str = "5-core") -> tuple[str, ...]:
    """Addresses of the files of one category, metadata last.

    Args:
        name: ``RELEASE/CATEGORY``, as ``"amazon-2014/Office_Products"``.
        subset: ``"5-core"``, which of the 2023 release is the leave-last-out split, or ``"full"``; of 2023 also
            ``"5-core-temporal"`` and ``"5-core-ratings"``.

    Raises:
        ConfigError: there is no such release, category or subset.
    """
    release, _, category = name.partition("/")
    if release not in SOURCES:
        hint = nearest(release, SOURCES)
        raise ConfigError(f"There is no release '{release}'{hint}; name one of {', '.join(SOURCES)} and a category.")
    published = SOURCES[release]
    if category not in published.categories:
        hint = nearest(category, published.categories)
        raise ConfigError(f"{release} has no category '{category}'{hint}; it has {', '.join(published.categories)}.")
    if subset not in published.subsets:
        hint = nearest(subset, published.subsets)
        raise ConfigError(f"{release} has no subset '{subset}'{hint}; it has {', '.join(published.subsets)}.")
    return tuple(address.format(category) for address in (*published.subsets[subset], published.meta))
