"""Search for better settings: what to search, the trials' trainings, and what came out."""
