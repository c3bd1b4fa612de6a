"""The encoders behind their one interface: (x [N, T, width], lengths) -> [N, T, width]."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ocrtrain.errors import InputError
from ocrtrain.model.encoders import BiLSTMEncoder, IdentityEncoder, Mamba2Encoder, MambaEncoder

ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "none": lambda: IdentityEncoder(8),
    "bilstm": lambda: BiLSTMEncoder(8, 2),
    "mamba": lambda: MambaEncoder(8, 2, d_state=4),
    "mamba, torch": lambda: MambaEncoder(8, 2, d_state=4, backend="torch"),
    "mamba, forward only": lambda: MambaEncoder(8, 1, bidirectional=False, d_state=4),
    "mamba2": lambda: Mamba2Encoder(8, 2, d_state=4, headdim=4, chunk_size=4),
    "mamba2, forward only": lambda: Mamba2Encoder(8, 1, bidirectional=False, d_state=4, headdim=4),
}
READS_ON = {
    "none": "",
    "bilstm": "both",
    "mamba": "both",
    "mamba, torch": "both",
    "mamba, forward only": "past",
    "mamba2": "both",
    "mamba2, forward only": "past",
}


@pytest.fixture(params=ENCODERS)
def named(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    torch.manual_seed(0)
    return request.param, ENCODERS[request.param]().eval()


def test_width_and_shape_are_kept(named: tuple[str, nn.Module]) -> None:
    _, encoder = named
    assert encoder.width == 8
    # The longest line may well be shorter than the batch is padded to.
    y = encoder(torch.randn(3, 9, 8), torch.tensor([7, 1, 4]))
    assert y.shape == (3, 9, 8) and y.isfinite().all()


def test_a_line_alone_equals_itself_in_a_batch(named: tuple[str, nn.Module]) -> None:
    _, encoder = named
    x, lengths = torch.randn(4, 11, 8), torch.tensor([5, 11, 1, 10])
    together = encoder(x, lengths)
    for n, length in enumerate(lengths.tolist()):
        alone = encoder(x[n : n + 1, :length], lengths[n : n + 1])
        torch.testing.assert_close(together[n, :length], alone[0], rtol=1e-5, atol=1e-6)


def test_how_far_a_frame_sees(named: tuple[str, nn.Module]) -> None:
    name, encoder = named
    x = torch.randn(1, 6, 8, requires_grad=True)
    y = encoder(x, torch.tensor([6]))
    (gradient,) = torch.autograd.grad(y[0, 2].square().sum(), x)
    seen = (gradient[0] != 0).any(1).tolist()
    expected = {"": [False] * 2 + [True] + [False] * 3, "past": [True] * 3 + [False] * 3, "both": [True] * 6}
    assert seen == expected[READS_ON[name]]


def test_every_parameter_learns(named: tuple[str, nn.Module]) -> None:
    _, encoder = named
    encoder.train()
    encoder(torch.randn(2, 6, 8, requires_grad=True), torch.tensor([6, 3])).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_a_mirrored_line_is_read_alike_by_mirrored_layers() -> None:
    torch.manual_seed(0)
    encoder, mirrored = (MambaEncoder(8, 2, d_state=4).eval() for _ in range(2))
    state = encoder.state_dict()
    turned = {"forth": "back", "back": "forth"}
    mirrored.load_state_dict(
        {".".join(turned.get(p, p) for p in name.split(".")): state[name] for name in state}
    )
    x = torch.randn(1, 7, 8)
    lengths = torch.tensor([7])
    torch.testing.assert_close(
        encoder(x, lengths), mirrored(x.flip(1), lengths).flip(1), rtol=1e-5, atol=1e-6
    )


def test_mamba_hands_its_settings_to_every_layer() -> None:
    encoder = MambaEncoder(8, 2, d_state=3, d_conv=2, expand=3, dt_rank=5, backend="torch")
    for block in encoder.blocks:
        for layer, reverse in ((block.forth, False), (block.back, True)):
            assert layer.A_log.shape == (24, 3) and layer.conv1d.weight.shape == (24, 1, 2)
            assert (layer.dt_rank, layer.backend, layer.reverse) == (5, "torch", reverse)


def test_an_lstm_of_two_directions_needs_an_even_width() -> None:
    with pytest.raises(InputError, match=r"encoder\.width=7"):
        BiLSTMEncoder(7)
