"""Inner loops of the effects, compiled by Numba, imported where called since Numba loads slowly."""
