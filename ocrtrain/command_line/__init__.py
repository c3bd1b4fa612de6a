"""From the words of a command line to a command that runs, or to one message that says why it does not."""
