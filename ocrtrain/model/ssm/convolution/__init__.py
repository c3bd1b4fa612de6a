"""The causal convolution of Mamba: `dispatch` chooses among the implementations."""
