"""The local stack: everything that the app talks to, on loopback, on one machine.

Azurite replaces storage, `standins.workspace` replaces Azure Machine Learning, `standins.identity` replaces App
Service's managed identity, and `host` replaces the Functions host around the real Python runtime. The demo, `dev.py up`
and the integration tests use them through `stack.Stack`. Nothing here is deployed, and nothing in `shared/` imports it.
"""
