"""Sources of lines: drawn or stored, alone or mixed."""
