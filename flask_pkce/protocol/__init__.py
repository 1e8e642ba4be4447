"""The protocol steps of OAuth 2.0, PKCE and OpenID Connect, pure.

No Flask, no requests, no input or output, no clock: the time comes in as ``now``.
"""
