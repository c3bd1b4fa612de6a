"""A model that goes on reading nothing is told of, once, with the likely causes."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest
from lightning.pytorch import Trainer

from ocrtrain.evaluation import EditCounts
from ocrtrain.model import LineRecognizer
from ocrtrain.model.backbones import CompactResNet
from ocrtrain.model.encoders import IdentityEncoder
from ocrtrain.text import Charset
from ocrtrain.training import RecognizerModule
from ocrtrain.training.callbacks.blank_plateau import BlankPlateauWarning
from ocrtrain.training.recognizer_module import Validation


@pytest.mark.parametrize(
    ("read", "losses", "told"),
    [
        ([0, 0, 0, 0], [4.0, 3.9, 3.9, 3.9], [4]),
        ([0, 0, 0, 0, 0], [4.0, 3.9, 3.9, 3.9, 3.9], [4]),  # once
        ([0, 0, 0, 0], [4.0, 3.5, 3.0, 2.5], []),  # the loss still falls
        ([0, 0, 0, 40, 0, 0], [4.0, 4.0, 4.0, 4.0, 4.0, 4.0], []),
        ([5, 5, 5, 5], [4.0, 4.0, 4.0, 4.0], [4]),  # hardly anything
    ],
)
def test_a_plateau_is_told_of(
    read: list[int], losses: list[float], told: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    model = LineRecognizer(CompactResNet(1, 8, (4, 4), 8), IdentityEncoder(8), classes=3)
    module, blanks = RecognizerModule(model, Charset("ab"), cast(Any, None)), BlankPlateauWarning("runs/mine")
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    when = []
    for number, (characters, loss) in enumerate(zip(read, losses, strict=True), start=1):
        missing = 1000 - characters
        module.validation = Validation(EditCounts(deletions=missing, characters=1000, lines=9), loss)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            blanks.on_validation_end(trainer, module)
        if caplog.records:
            when.append(number)
            assert "texts do not belong to their images" in caplog.text and "overfit=8" in caplog.text
        before = blanks
        blanks = BlankPlateauWarning("runs/mine")
        blanks.load_state_dict(before.state_dict())  # as over an interruption
    assert when == told
