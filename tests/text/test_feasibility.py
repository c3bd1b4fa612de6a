"""The frames that CTC needs, against torch's own loss: infinite with one frame fewer, finite with as many."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ocrtrain.text import frames_needed


@given(st.lists(st.integers(1, 3), min_size=1, max_size=7))
def test_agrees_with_the_loss(labels):
    def loss(frames: int) -> float:
        log_probs = torch.zeros(frames, 1, 4).log_softmax(-1)
        return float(F.ctc_loss(log_probs, torch.tensor([labels]), [frames], [len(labels)]))

    needed = frames_needed(labels)
    assert loss(needed) < float("inf")
    assert needed == 1 or loss(needed - 1) == float("inf")


def test_an_empty_text_needs_no_frame():
    assert frames_needed([]) == 0
