"""Batches: lines of similar width, padded, collected by loaders."""
