"""An application with Flask-Login, and PKCE beside its passwords."""
