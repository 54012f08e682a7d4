"""The page on names: its blocks run, and what it shows is what is said."""

from __future__ import annotations

from pathlib import Path

from tests.documents import ROOT, play


def test_the_page_runs(tmp_path: Path) -> None:
    told = play(ROOT / "docs" / "names.md", tmp_path)
    assert "# Names of the discovered relations" in told
    assert "Relation(name='latent_2', kind='latent'" in told
    assert 'label = "the same colour"' in (tmp_path / "runs/small/relations.toml").read_text()
