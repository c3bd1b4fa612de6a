"""Checks of lines before they are learned from."""
