"""Mamba layers and the scans beneath them."""

from ocrtrain.model.ssm.mamba import Mamba
from ocrtrain.model.ssm.scan import selective_scan

__all__ = ["Mamba", "selective_scan"]
