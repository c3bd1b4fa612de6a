"""The encoders behind their one interface: (x [N, T, width], lengths) -> [N, T, width]."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from ocrtrain.errors import InputError
from ocrtrain.model.encoders import (
    BiLSTMEncoder,
    IdentityEncoder,
    Mamba2Encoder,
    MambaEncoder,
    TransformerEncoder,
)
from ocrtrain.model.encoders.transformer import rotations

ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "none": lambda: IdentityEncoder(8),
    "bilstm": lambda: BiLSTMEncoder(8, 2),
    "mamba": lambda: MambaEncoder(8, 2, d_state=4),
    "mamba, torch": lambda: MambaEncoder(8, 2, d_state=4, backend="torch"),
    "mamba, forward only": lambda: MambaEncoder(8, 1, bidirectional=False, d_state=4),
    "mamba2": lambda: Mamba2Encoder(8, 2, d_state=4, headdim=4, chunk_size=4),
    "mamba2, forward only": lambda: Mamba2Encoder(8, 1, bidirectional=False, d_state=4, headdim=4),
    "transformer": lambda: TransformerEncoder(8, 2, heads=2),
}
READS_ON = {
    "none": "",
    "bilstm": "both",
    "mamba": "both",
    "mamba, torch": "both",
    "mamba, forward only": "past",
    "mamba2": "both",
    "mamba2, forward only": "past",
    "transformer": "both",
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


def test_what_padding_holds_changes_no_line(named: tuple[str, nn.Module]) -> None:
    _, encoder = named
    x, lengths = torch.randn(2, 6, 8), torch.tensor([6, 3])
    y = encoder(x, lengths)
    x[1, 3:] = 1e3
    changed = encoder(x, lengths)
    assert torch.equal(changed[0], y[0]) and torch.equal(changed[1, :3], y[1, :3])


def test_attention_of_a_line_without_frames_is_a_number() -> None:
    encoder = TransformerEncoder(8, 1, heads=2)
    x = torch.randn(2, 5, 8, requires_grad=True)
    y = encoder(x, torch.tensor([5, 0]))
    y.square().sum().backward()
    assert y.isfinite().all()
    for gradient in (x.grad, *(p.grad for p in encoder.parameters())):
        assert gradient is not None and gradient.isfinite().all()


def test_attention_reads_5000_frames_and_no_padding() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(8, 1, heads=2).eval()
    x = torch.randn(1, 5200, 8)
    with torch.inference_mode():
        y = encoder(x, torch.tensor([5000]))[:, :5000]
        torch.testing.assert_close(y, encoder(x[:, :5000], torch.tensor([5000])), rtol=1e-5, atol=1e-6)


def test_attention_in_half_precision_knows_distant_frames() -> None:
    torch.manual_seed(0)
    encoder = TransformerEncoder(16, 1, heads=2).eval()
    x, lengths = torch.randn(1, 600, 16), torch.tensor([600])
    exact = encoder(x, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        y = encoder(x, lengths)
    assert float((y - exact).detach().norm() / exact.detach().norm()) <= 2e-2


def test_attention_is_that_of_its_formula() -> None:
    """One block in float64, written out with complex rotations and a loop over frames."""
    torch.manual_seed(0)
    encoder = TransformerEncoder(12, 1, heads=3, expand=2).double().eval()
    block, x = encoder.blocks[0], torch.randn(5, 12, dtype=torch.float64)
    y = block.attention_norm(x)
    q, k, v = (p(y).view(5, 3, 4) for p in (block.query, block.key, block.value))
    angles = torch.arange(5)[:, None] * torch.tensor([1.0, 10_000.0**-0.5])
    turn = torch.polar(torch.ones_like(angles), angles)[:, None]
    q, k = (torch.complex(part[..., :2], part[..., 2:]) * turn for part in (q, k))
    seen = torch.empty(5, 3, 4, dtype=torch.float64)
    for head in range(3):
        for t in range(5):
            scores = torch.stack([(q[t, head] * k[s, head].conj()).sum().real / 2 for s in range(5)])
            seen[t, head] = scores.softmax(0) @ v[:, head]
    z = x + block.out(seen.flatten(1))
    z = z + block.down(torch.nn.functional.gelu(block.up(block.perceptron_norm(z))))
    torch.testing.assert_close(encoder(x[None], torch.tensor([5]))[0], encoder.norm(z), rtol=1e-5, atol=1e-6)


def test_attention_knows_distances_not_places() -> None:
    torch.manual_seed(0)
    block = TransformerEncoder(8, 1, heads=2).eval().blocks[0]
    x, valid = torch.randn(1, 6, 8), torch.ones(1, 1, 1, 6, dtype=torch.bool)
    cos, sin = rotations(306, 4, x.device)
    near, far = (block(x, valid, (cos[start:][:6], sin[start:][:6])) for start in (0, 300))
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(near.flip(1), block(x.flip(1), valid, (cos[:6], sin[:6])), atol=1e-3)


@pytest.mark.parametrize(
    ("heads", "width", "choices"),
    [
        (3, 8, r"\[1, 2, 4\]"),
        (0, 8, r"\[1, 2, 4\]"),
        (4, 12, r"\[1, 2, 3, 6\]"),
        (1, 7, r"even encoder\.width"),
    ],
)
def test_heads_share_the_width(heads: int, width: int, choices: str) -> None:
    with pytest.raises(InputError, match=rf"(?s)encoder\.heads={heads}: .*{choices}"):
        TransformerEncoder(width, heads=heads)


def test_encoders_to_compare_are_of_one_size() -> None:
    mamba, transformer = (
        sum(p.numel() for p in encoder(layers=2).parameters())
        for encoder in (MambaEncoder, TransformerEncoder)
    )
    assert mamba == 1_752_576
    assert abs(transformer / mamba - 1) < 0.01


@pytest.mark.parametrize("encoder", [BiLSTMEncoder, Mamba2Encoder, MambaEncoder, TransformerEncoder])
def test_a_stack_without_layers_is_refused(encoder: type) -> None:
    with pytest.raises(InputError, match=r"encoder\.layers=0: must be at least 1"):
        encoder(width=8, layers=0)
