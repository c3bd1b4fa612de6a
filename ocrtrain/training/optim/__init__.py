"""Optimizers, learning rates, schedules."""
