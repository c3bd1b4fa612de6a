"""The gated RMS norm of Mamba-2."""
