"""The selective scan on GPUs: the backward kernel.

It walks as the forward kernel does, from the end, and recomputes a chunk's states twice: the state before
each of its groups of frames, into a scratch, then those within a group, in registers.
"""

# mypy: disable-error-code="no-untyped-def, assignment, var-annotated"
# ruff: noqa: RUF005
from __future__ import annotations

import triton
import triton.language as tl

from ocrtrain.model.ssm.scan.triton_forward import LN_2, LOG2_E, fill_zeros, line_length, sigmoid, softplus


@triton.jit(do_not_specialize=["A_d", "A_s", "states_d", "tasks", "frames"])
def scan_backward(
    u,
    delta,
    A,
    B,
    C,
    D,
    z,
    delta_bias,
    lengths,
    states,
    scratch,
    dy,
    du,
    ddelta,
    dA,
    dB,
    dC,
    dD,
    dz,
    dbias,
    u_n,
    u_t,
    delta_n,
    delta_t,
    B_n,
    B_t,
    C_n,
    C_t,
    z_n,
    z_t,
    dy_n,
    dy_t,
    A_d,
    A_s,
    states_d,
    one,
    partial,
    tasks,
    frames,
    channels,
    STATES: tl.constexpr,
    SOFTPLUS: tl.constexpr,
    REVERSE: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_S: tl.constexpr,
    GROUP: tl.constexpr,
    CHUNK: tl.constexpr,
):
    """Fill the gradients for dy [N, T, D], from the states that `scan_forward` stored.

    du, ddelta, dz: [N, T, D]; dA: [N, S, D], dD and dbias: [N, D], to be summed over lines. dB, dC
    [blocks, N, T, S] are added to, block i at i * `partial` elements (0: all blocks share one).
    scratch: [programs, CHUNK / GROUP, BLOCK_S, BLOCK_D].
    """
    # Here, a thread holds some states of some channels, as loads of the scratch are widest: sums over states
    # and sums over channels then cost about the same.
    blocks = tl.cdiv(channels, BLOCK_D)
    lanes = tl.arange(0, BLOCK_D)
    s = tl.arange(0, BLOCK_S)
    slot = scratch + tl.program_id(0).to(tl.int64) * (CHUNK // GROUP * BLOCK_S * BLOCK_D)
    slot = slot + s[:, None] * BLOCK_D + lanes[None, :]
    for task in range(tl.program_id(0), tasks, tl.num_programs(0)):
        block = task % blocks
        n = tl.zeros([], tl.int64) + task // blocks
        d = block * BLOCK_D + lanes
        in_d = d < channels
        in_state = (s < STATES)[:, None] & in_d[None, :]
        length = line_length(lengths, n, frames)
        origin = (length - 1 if REVERSE else length * 0).to(tl.int64)

        a = tl.load(A + d[None, :] * A_d + s[:, None] * A_s, mask=in_state, other=0.0) * LOG2_E
        skip = 0.0 if D is None else tl.load(D + d, mask=in_d, other=0.0)
        bias = 0.0 if delta_bias is None else tl.load(delta_bias + d, mask=in_d, other=0.0)
        u_line = u + n * u_n
        delta_line = delta + n * delta_n
        B_line = B + n * B_n
        C_line = C + n * C_n
        dy_line = dy + n * dy_n
        du_line = du + n * frames * channels
        ddelta_line = ddelta + n * frames * channels
        if z is not None:
            z_line = z + n * z_n
            dz_line = dz + n * frames * channels
        dB_line = dB + (n * 0 + block) * partial + n * frames * STATES
        dC_line = dC + (n * 0 + block) * partial + n * frames * STATES
        line_states = states + n * tl.cdiv(frames, CHUNK) * STATES * channels

        dh = tl.zeros([BLOCK_S, BLOCK_D], tl.float32)
        sum_A = tl.zeros([BLOCK_S, BLOCK_D], tl.float32)
        sum_D = tl.zeros([BLOCK_D], tl.float32)
        sum_bias = tl.zeros([BLOCK_D], tl.float32)
        chunks = tl.cdiv(length, CHUNK)
        line_states += (n * 0 + chunks) * STATES * channels
        for back in range(0, chunks):
            start = (chunks - 1 - back) * CHUNK
            groups = tl.cdiv(tl.minimum(length - start, CHUNK), GROUP)
            line_states -= STATES * channels
            h = tl.load(line_states + s[:, None] * channels + d[None, :] * states_d, mask=in_state, other=0.0)
            tl.debug_barrier()  # the slots have been read
            for group in range(0, groups):
                tl.store(slot + group * (BLOCK_S * BLOCK_D), h)
                xs = ()
                raws = ()
                bs = ()
                for i in tl.static_range(GROUP):
                    k = start + group * GROUP + i
                    t = origin - k if REVERSE else origin + k
                    here = d < tl.where(k < length, channels, 0)
                    here_s = s < tl.where(k < length, STATES, 0)
                    xs = xs + (tl.load(u_line + t * u_t + d, mask=here, other=0.0),)
                    raws = raws + (tl.load(delta_line + t * delta_t + d, mask=here, other=0.0),)
                    bs = bs + (tl.load(B_line + t * B_t + s, mask=here_s, other=0.0),)
                for i in tl.static_range(GROUP):
                    raw = raws[i].to(tl.float32) + bias
                    dt = softplus(raw) if SOFTPLUS else raw
                    inflow = dt * xs[i].to(tl.float32)
                    h = tl.exp2(dt[None, :] * a) * h + bs[i].to(tl.float32)[:, None] * inflow[None, :]
            tl.debug_barrier()  # the slots have been written
            for back_group in range(0, groups):
                group = groups - 1 - back_group
                h = tl.load(slot + group * (BLOCK_S * BLOCK_D))
                befores = ()
                xs = ()
                raws = ()
                bs = ()
                dts = ()
                cs = ()
                grads = ()
                gates = ()
                for i in tl.static_range(GROUP):
                    k = start + group * GROUP + i
                    t = origin - k if REVERSE else origin + k
                    here = d < tl.where(k < length, channels, 0)
                    here_s = s < tl.where(k < length, STATES, 0)
                    xs = xs + (tl.load(u_line + t * u_t + d, mask=here, other=0.0),)
                    raws = raws + (tl.load(delta_line + t * delta_t + d, mask=here, other=0.0),)
                    bs = bs + (tl.load(B_line + t * B_t + s, mask=here_s, other=0.0),)
                    cs = cs + (tl.load(C_line + t * C_t + s, mask=here_s, other=0.0),)
                    grads = grads + (tl.load(dy_line + t * dy_t + d, mask=here, other=0.0),)
                    if z is not None:
                        gates = gates + (tl.load(z_line + t * z_t + d, mask=here, other=0.0),)
                for i in tl.static_range(GROUP):
                    raw = raws[i].to(tl.float32) + bias
                    dt = softplus(raw) if SOFTPLUS else raw
                    dts = dts + (dt,)
                    befores = befores + (h,)
                    inflow = dt * xs[i].to(tl.float32)
                    h = tl.exp2(dt[None, :] * a) * h + bs[i].to(tl.float32)[:, None] * inflow[None, :]
                for j in tl.static_range(GROUP):
                    # Frames beyond the line come first here; their dy of 0 leaves dh at 0.
                    k = start + group * GROUP + (GROUP - 1 - j)
                    t = origin - k if REVERSE else origin + k
                    here = d < tl.where(k < length, channels, 0)
                    here_s = s < tl.where(k < length, STATES, 0)
                    x = xs[GROUP - 1 - j].to(tl.float32)
                    dt = dts[GROUP - 1 - j]
                    g = grads[GROUP - 1 - j].to(tl.float32)
                    b = bs[GROUP - 1 - j].to(tl.float32)
                    c = cs[GROUP - 1 - j].to(tl.float32)
                    if z is not None:
                        gate = gates[GROUP - 1 - j].to(tl.float32)
                        opened = sigmoid(gate)
                        out = tl.sum(h * c[:, None], axis=0) + skip * x
                        dgate = g * out * opened * (1.0 + gate * (1.0 - opened))
                        tl.store(dz_line + t * channels + d, dgate.to(dz.dtype.element_ty), mask=here)
                        g = g * gate * opened
                    dc = tl.sum(h * g[None, :], axis=1)
                    tl.atomic_add(dC_line + t * STATES + s, dc, mask=here_s, sem="relaxed")
                    dh += c[:, None] * g[None, :]
                    db = tl.sum(dh * (dt * x)[None, :], axis=1)
                    tl.atomic_add(dB_line + t * STATES + s, db, mask=here_s, sem="relaxed")
                    dinflow = tl.sum(dh * b[:, None], axis=0)
                    # Not to be told from the decay above, this would be held from there, and registers spilt.
                    dh = dh * tl.exp2((dt * one)[None, :] * a)
                    h = befores[GROUP - 1 - j]
                    through = dh * h
                    sum_A += through * dt[None, :]
                    step = tl.sum(through * a, axis=0) * LN_2 + dinflow * x
                    if SOFTPLUS:
                        step = step * sigmoid(raws[GROUP - 1 - j].to(tl.float32) + bias)
                    sum_D += g * x
                    sum_bias += step
                    tl.store(ddelta_line + t * channels + d, step.to(ddelta.dtype.element_ty), mask=here)
                    dx = dinflow * dt + skip * g
                    tl.store(du_line + t * channels + d, dx.to(du.dtype.element_ty), mask=here)

        tl.store(dA + (n * STATES + s)[:, None] * channels + d[None, :] * states_d, sum_A, mask=in_state)
        if dD is not None:
            tl.store(dD + n * channels + d, sum_D, mask=in_d)
        if dbias is not None:
            tl.store(dbias + n * channels + d, sum_bias, mask=in_d)
        fill_zeros(du_line, length, frames, channels, d)
        fill_zeros(ddelta_line, length, frames, channels, d)
        if z is not None:
            fill_zeros(dz_line, length, frames, channels, d)
