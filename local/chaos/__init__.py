"""The chaos harness: deliver events while faults and crashes are injected, then check the result."""
