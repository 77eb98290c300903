"""What can be started, one module a kind: each knows what its own service wants on the wire."""
