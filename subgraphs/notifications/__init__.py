"""The notifications service: mail, in-app messages, webhooks."""
