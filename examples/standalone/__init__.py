"""The five PKCE routes as a server of their own."""
