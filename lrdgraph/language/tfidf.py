"""Vectors from the words of the corpus alone, without a language model."""

from __future__ import annotations

import numpy as np

from lrdgraph.errors import DataError
from lrdgraph.language.controls import WIDTH
from lrdgraph.language.settings import TextSettings
from lrdgraph.language.source import VectorSource


class WordEncoder(VectorSource):
    """TF-IDF, cut to its ``T`` main directions: latent semantic analysis (Deerwester et al., 1990).

    Args:
        settings: width; there are fewer directions if the corpus has fewer texts or words.
        texts: all texts of the corpus, which it learns its words from.

    Raises:
        DataError: the texts hold no word of two letters or more.
    """

    packages = ("numpy", "scikit-learn")

    def __init__(self, settings: TextSettings, texts: list[str]) -> None:
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        self.settings = settings
        self._words = TfidfVectorizer(sublinear_tf=True, dtype=np.float32)
        try:
            weights = self._words.fit_transform(texts)
        except ValueError as error:
            raise DataError(f"The texts give no TF-IDF ({str(error).rstrip('.')}); choose other fields.") from None
        self.width = min(settings.width or WIDTH, *weights.shape)
        self._directions = TruncatedSVD(self.width, random_state=0).fit(weights)

    def vectors(self, texts: list[str]) -> np.ndarray:
        found: np.ndarray = self._directions.transform(self._words.transform(texts))
        return found.astype(np.float32, copy=False)
