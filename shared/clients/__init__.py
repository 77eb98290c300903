"""Network clients: tokens, the Azure ML workspace, blob storage and table storage."""
