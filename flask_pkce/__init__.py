"""Sign in with Auth0, and any OpenID Provider, through five PKCE routes in a Flask application."""
