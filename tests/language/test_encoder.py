import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.language import TextEncoder, TextSettings
from lrdgraph.storage import write_json

TEXTS = ["red pen", "blue steel desk lamp .", "paper", "green chair : this means word", "pen red"]


def settings(folder: Path, **changes: object) -> TextSettings:
    return dataclasses.replace(TextSettings(model=str(folder)), **changes)  # type: ignore[arg-type]


def alone(encoder: TextEncoder, text: str) -> torch.Tensor:
    """Token states of one text without padding: the slow reference."""
    tokens = encoder._tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        return encoder._model(**tokens).last_hidden_state[0]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_batches_equal_one_text_at_a_time(
    kind: str, pooling: str, batch_size: int, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(f"{kind}_folder")
    encoder = TextEncoder(settings(folder, pooling=pooling, batch_size=batch_size, normalize=False))
    pool = {"mean": lambda h: h.mean(0), "cls": lambda h: h[0], "last": lambda h: h[-1]}[pooling]
    expected = torch.stack([pool(alone(encoder, text)) for text in TEXTS]).numpy()
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)
    assert np.abs(expected[0] - expected[4]).max() > 1e-2 or (kind, pooling) == ("causal", "cls")


def test_left_padding_of_the_tokenizer_is_overruled(causal_folder: Path, tmp_path: Path) -> None:
    left = shutil.copytree(causal_folder, tmp_path / "left")
    config = (left / "tokenizer_config.json").read_text().replace("{", '{"padding_side": "left",', 1)
    (left / "tokenizer_config.json").write_text(config)
    same = TextEncoder(settings(causal_folder)).encode(TEXTS)
    np.testing.assert_array_equal(TextEncoder(settings(left)).encode(TEXTS), same)


def test_auto_pooling_asks_the_model(encoder_folder: Path, causal_folder: Path, tmp_path: Path) -> None:
    assert TextEncoder(settings(encoder_folder)).pooling == "mean"
    assert TextEncoder(settings(causal_folder)).pooling == "last"
    own = shutil.copytree(encoder_folder, tmp_path / "own")
    for config in ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {"pooling_mode": "cls"}):
        write_json(own / "1_Pooling" / "config.json", config)
        assert TextEncoder(settings(own)).pooling == "cls"
    write_json(own / "1_Pooling" / "config.json", {"pooling_mode": "max"})
    with pytest.raises(ConfigError, match="set pooling"):
        TextEncoder(settings(own))


def test_normalized_vectors_have_length_one(encoder_folder: Path) -> None:
    vectors = TextEncoder(settings(encoder_folder)).encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_prompt_surrounds_the_text_and_survives_a_long_one(causal_folder: Path) -> None:
    prompted = TextEncoder(settings(causal_folder, prompt="this item : {text} means", max_length=10))
    plain = TextEncoder(settings(causal_folder))
    np.testing.assert_allclose(prompted.encode(["red pen"]), plain.encode(["this item : red pen means"]), atol=1e-6)
    long = "red pen blue lamp desk paper steel chair"
    # ten tokens less four of the prompt and one to spare leave five of the text
    np.testing.assert_allclose(
        prompted.encode([long]), plain.encode(["this item : red pen blue lamp desk means"]), atol=1e-6
    )


def test_texts_are_cut_at_max_length_and_at_the_models_own_limit(encoder_folder: Path) -> None:
    encoder = TextEncoder(settings(encoder_folder, max_length=5))
    np.testing.assert_allclose(encoder.encode(["red " * 9]), encoder.encode(["red " * 5]), atol=1e-6)
    assert TextEncoder(settings(encoder_folder, max_length=4096)).max_length == 24
    assert TextEncoder(settings(encoder_folder)).encode(["red " * 99]).shape == (1, 16)


@pytest.mark.parametrize("kind", ["encoder", "causal"])
def test_empty_text_without_tokens_is_zero(kind: str, request: pytest.FixtureRequest) -> None:
    encoder = TextEncoder(settings(request.getfixturevalue(f"{kind}_folder")))
    assert not encoder.encode([""]).any()
    mixed = encoder.encode(["", "red pen"])
    assert not mixed[0].any()
    np.testing.assert_allclose(mixed[1], encoder.encode(["red pen"])[0], atol=1e-6)
    assert encoder.encode([]).shape == (0, 16)


def test_empty_text_is_zero_whatever_the_prompt_says(causal_folder: Path) -> None:
    vectors = TextEncoder(settings(causal_folder, prompt="this item : {text} means")).encode(["", "red pen", ""])
    assert vectors.any(axis=1).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_near_and_given_as_float32(dtype: str, encoder_folder: Path) -> None:
    vectors = TextEncoder(settings(encoder_folder, dtype=dtype)).encode(TEXTS)
    full = TextEncoder(settings(encoder_folder)).encode(TEXTS)
    assert vectors.dtype == np.float32
    assert 0 < np.abs(vectors - full).max() < 0.05


def test_batches_go_from_long_to_short_and_resume_bit_by_bit(encoder_folder: Path) -> None:
    encoder = TextEncoder(settings(encoder_folder, batch_size=2))
    seen: list[tuple[int, int]] = []
    batches = list(encoder.batches(TEXTS, progress=lambda done, total: seen.append((done, total))))
    assert np.concatenate([rows for rows, _ in batches]).tolist() == [3, 1, 0, 4, 2]
    assert seen == [(2, 5), (4, 5), (5, 5)]
    for (rows, vectors), (again, same) in zip(batches[1:], encoder.batches(TEXTS, start=2), strict=True):
        np.testing.assert_array_equal(rows, again)
        np.testing.assert_array_equal(vectors, same)


def test_weights_with_a_hole_are_refused(encoder_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(encoder_folder, tmp_path / "hole")
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("encoder.layer.1.output.dense.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"lack 1 tensors such as encoder\.layer\.1\.output\.dense\.weight"):
        TextEncoder(settings(folder))


def test_pickled_weights_are_never_read(encoder_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(encoder_folder, tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(DataError, match="safetensors"):
        TextEncoder(settings(folder))


def test_remote_code_is_never_run(encoder_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(encoder_folder, tmp_path / "remote")
    proof = tmp_path / "proof"
    (folder / "own.py").write_text(f"open({str(proof)!r}, 'w').write('ran')\n")
    config = {"model_type": "stranger", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    write_json(folder / "config.json", config)
    with pytest.raises(DataError, match="cannot be loaded"):
        TextEncoder(settings(folder))
    assert not proof.exists()


def test_loading_is_quiet(encoder_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    TextEncoder(settings(encoder_folder)).encode(TEXTS)
    assert capfd.readouterr() == ("", "")


def test_import_is_light() -> None:
    code = "import sys, lrdgraph.language; sys.exit('transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
