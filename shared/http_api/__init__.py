"""The HTTP API, without the host: routes take an `Exchange` request and give a `Reply`."""
