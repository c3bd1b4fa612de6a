"""Mamba layers and the scans beneath them."""

from ocrtrain.model.ssm.mamba import Mamba
from ocrtrain.model.ssm.mamba2 import Mamba2
from ocrtrain.model.ssm.scan.dispatch import selective_scan
from ocrtrain.model.ssm.ssd.dispatch import state_space_duality

__all__ = ["Mamba", "Mamba2", "selective_scan", "state_space_duality"]
