"""A stand-in for an Azure ML workspace, with published pipelines and run history."""
