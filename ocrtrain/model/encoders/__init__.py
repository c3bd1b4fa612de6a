"""Encoders: features per frame -> features that know the whole line."""

from ocrtrain.model.encoders.bilstm import BiLSTMEncoder
from ocrtrain.model.encoders.identity import IdentityEncoder
from ocrtrain.model.encoders.mamba import MambaEncoder
from ocrtrain.model.encoders.mamba2 import Mamba2Encoder
from ocrtrain.model.encoders.transformer import TransformerEncoder

__all__ = ["BiLSTMEncoder", "IdentityEncoder", "Mamba2Encoder", "MambaEncoder", "TransformerEncoder"]
