"""Ways to search: each asks for candidates to evaluate, and is told what they are worth."""
