"""The HTTP side of the app, free of the host's types."""
