"""The selective scan of Mamba: `dispatch` chooses among the implementations beside it."""
