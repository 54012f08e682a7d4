"""Metrics and buckets of ``result.json`` as tables."""

from __future__ import annotations

from collections.abc import Mapping

from lrdgraph.cli.console import show_table

Metrics = Mapping[str, float]
Buckets = Mapping[str, Mapping[str, Mapping[str, float]]]


def show_metrics(title: str, columns: Mapping[str, Metrics]) -> None:
    """Print one line for each metric (``"full/NDCG@10"``), one column for each of ``columns``."""
    names = dict.fromkeys(name for metrics in columns.values() for name in metrics)
    rows = [(*name.split("/", 1), *(metrics.get(name) for metrics in columns.values())) for name in names]
    show_table(title, ["protocol", "metric", *columns], rows, words=2)


def show_buckets(title: str, buckets: Buckets) -> None:
    """Print metrics of each group of targets, one block for each protocol."""
    groups = [group for protocol in buckets.values() for group in protocol.values()]
    names = [name for name in dict.fromkeys(n for group in groups for n in group) if name != "count"]
    rows = [
        (protocol, bucket, int(found["count"]), *(found.get(name) for name in names))
        for protocol, inside in buckets.items()
        for bucket, found in inside.items()
    ]
    show_table(title, ["protocol", "targets", "count", *names], rows, words=2)
