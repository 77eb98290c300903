"""Events among injected faults and crashes, and the checks of the result."""
