"""Manifests: TSV, CSV and JSON lines of any size."""
