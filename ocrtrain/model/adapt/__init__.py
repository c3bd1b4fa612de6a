"""Adaptation: which parameters are trained, and what is added beside them."""

from ocrtrain.model.adapt.adaptation import Adaptation, Freeze, Full, is_added
from ocrtrain.model.adapt.bottleneck import Bottleneck, bottleneck_settings
from ocrtrain.model.adapt.lora import Lora, fold

__all__ = ["Adaptation", "Bottleneck", "Freeze", "Full", "Lora", "bottleneck_settings", "fold", "is_added"]
