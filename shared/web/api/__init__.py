"""The HTTP API: its routes, the bodies of requests and answers, and its OpenAPI document."""
