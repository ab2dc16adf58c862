"""The right itself: a cell (account, dataset, frequency), its term, and the facts of its closing."""
