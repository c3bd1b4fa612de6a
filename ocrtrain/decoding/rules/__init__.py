"""Patterns and word lists that restrict what is read."""
