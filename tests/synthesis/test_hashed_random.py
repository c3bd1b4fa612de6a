"""The random numbers are those of the hash, in range and even."""

from __future__ import annotations

import hashlib

from ocrtrain.synthesis.hashed_random import HashedRandom


def test_numbers_are_the_hash_of_the_name() -> None:
    digest = hashlib.shake_128(b"look:1:2:3").digest(12)
    first, second, third = (int.from_bytes(digest[i : i + 4], "little") for i in (0, 4, 8))
    rng = HashedRandom("look:1:2:3", 3)
    assert rng.uniform() == first / 2**32
    assert rng.below(62) == second * 62 // 2**32
    assert rng.bytes() == tuple(third.to_bytes(4, "little")[:3])


def test_ranges_are_filled_evenly() -> None:
    rng = HashedRandom("even", 40_000)
    tens = [rng.below(10) for _ in range(10_000)]
    assert all(900 < tens.count(i) < 1100 for i in range(10))
    values = [rng.uniform(-5, 5) for _ in range(10_000)]
    assert -5 <= min(values) < -4.99 and 4.99 < max(values) < 5
    assert abs(sum(values) / 10_000) < 0.1
    assert 2850 < sum(rng.chance(0.3) for _ in range(10_000)) < 3150
    assert not any(rng.chance(0.0) for _ in range(5_000)) and all(rng.chance(1.0) for _ in range(5_000))


def test_there_are_always_more_numbers_and_the_same_ones() -> None:
    at_once, bit_by_bit = HashedRandom("more", 1000), HashedRandom("more", 1)
    assert [at_once.uniform() for _ in range(1500)] == [bit_by_bit.uniform() for _ in range(1500)]
