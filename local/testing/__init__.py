"""Doubles of the app's network edges, and a whole app between them."""
