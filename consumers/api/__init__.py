"""HTTP in: webhooks, our own senders' events, and where an event stands."""
