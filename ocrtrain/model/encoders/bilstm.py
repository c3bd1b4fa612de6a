"""Long short-term memory over time and against it: the field's habit, kept as a yardstick."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ocrtrain.errors import InputError
from ocrtrain.model.encoders.block import check_layers


class BiLSTMEncoder(nn.Module):
    """Bidirectional LSTM layers; packed, so that each line is read over its own length.

    width: features per frame, in and out (each direction has half); layers; dropout: between layers.
    """

    def __init__(self, width: int = 256, layers: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        check_layers(layers)
        if width % 2:
            raise InputError(
                f"encoder.width={width}", "each direction has half of it", "choose an even number."
            )
        self.width = width
        between = dropout if layers > 1 else 0.0
        self.lstm = nn.LSTM(width, width // 2, layers, batch_first=True, bidirectional=True, dropout=between)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Map x [N, T, width] with lengths [N] to [N, T, width]."""
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
