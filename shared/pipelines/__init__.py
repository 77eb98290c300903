"""What can be started, one module a kind, without I/O."""
