"""The JSON API: its routes, the bodies of requests and replies, and its OpenAPI document."""
