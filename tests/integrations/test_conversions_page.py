"""What the page on conversions shows works as it stands there."""

from __future__ import annotations

from pathlib import Path

from tests.documents import ROOT, play


def test_the_page_runs(tmp_path: Path) -> None:
    told = play(ROOT / "docs" / "conversions.md", tmp_path)
    assert "['49', '48']" in told
    assert "'posterior': {'latent_0': 0.75, 'latent_1': 0.125}" in told
    assert "('item', 'latent', 'item')" in told
    assert "total weight latent_0 0.8, latent_1 0." in told
