"""Backbones: pixels of a line -> one feature vector per frame."""

from ocrtrain.model.backbones.compact import CompactResNet
from ocrtrain.model.backbones.resnet import ResNet

__all__ = ["CompactResNet", "ResNet"]
