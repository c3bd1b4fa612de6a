"""Images of lines: opened, augmented, brought to a model's height."""
