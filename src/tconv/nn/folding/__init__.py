"""Exact folds: the laws, what they are found by in a captured graph, and what runs them."""
