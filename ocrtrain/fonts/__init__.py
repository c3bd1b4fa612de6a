"""Fonts: where they are, which characters each really draws, which scripts need shaping."""
