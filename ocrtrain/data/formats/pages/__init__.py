"""PAGE and ALTO XML: lines cut out of their pages."""
