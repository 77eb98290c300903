"""A stand-in for an Azure ML workspace."""
