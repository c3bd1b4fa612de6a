"""Finders of a learning rate and a batch size."""
