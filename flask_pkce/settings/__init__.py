"""From ``app.config`` to checked settings."""
