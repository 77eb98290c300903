"""Stand-ins for services that cannot run on a laptop (Azure ML, the identity endpoint), and Azurite."""
