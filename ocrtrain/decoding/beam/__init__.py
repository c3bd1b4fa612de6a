"""Prefix beam search."""
