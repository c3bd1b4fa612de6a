"""Reports: JSON, HTML, plain text, pictures."""
