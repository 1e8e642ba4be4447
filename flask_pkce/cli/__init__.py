"""The commands under ``flask pkce``."""
