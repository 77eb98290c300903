"""Network edges: the identity, the workspace, blob and table storage."""
