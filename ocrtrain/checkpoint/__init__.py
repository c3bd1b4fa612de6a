"""Checkpoints, adapters and calibrations: read as checked fields, written whole or not at all."""
