"""State-space duality of Mamba-2: `dispatch` chooses among the implementations."""
