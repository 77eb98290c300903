"""A stand-in for the Functions host around the real Python runtime."""
