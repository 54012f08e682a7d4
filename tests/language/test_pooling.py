import torch

from lrdgraph.language.pooling import cls, last, mean

HIDDEN = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]], [[100.0, 100.0], [5.0, 0.0], [7.0, 8.0]]])
MASK = torch.tensor([[1, 1, 0], [0, 1, 1]])  # one row padded on the right, one on the left


def test_by_hand() -> None:
    assert mean(HIDDEN, MASK).tolist() == [[2.0, 4.0], [6.0, 4.0]]
    assert cls(HIDDEN, MASK).tolist() == [[1.0, 2.0], [5.0, 0.0]]
    assert last(HIDDEN, MASK).tolist() == [[3.0, 6.0], [7.0, 8.0]]


def test_mean_of_no_token_is_zero() -> None:
    assert mean(HIDDEN[:1], torch.zeros(1, 3, dtype=torch.long)).tolist() == [[0.0, 0.0]]
