"""The HTTP side, free of the host's types."""
