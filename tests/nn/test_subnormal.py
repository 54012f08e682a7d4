from __future__ import annotations

import pytest
import torch

from lrdgraph.nn.subnormal import are_flushed, subnormals_flushed


def test_the_processor_is_left_as_it_was() -> None:
    assert not are_flushed()
    with subnormals_flushed():
        assert are_flushed()
        assert not (torch.tensor([1e-38]) * 1e-2).any()
        with subnormals_flushed():
            pass
        assert are_flushed(), "an inner block gives back what it found"
    assert not are_flushed()
    assert (torch.tensor([1e-38]) * 1e-2).all()


def test_it_is_given_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="stop"), subnormals_flushed():
        raise ValueError("stop")
    assert not are_flushed()
