"""The durable record of submissions and triggers' state, and who wins a claim."""
