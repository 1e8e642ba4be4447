"""End-to-end tests: real servers, a real provider, real browsers, the published clients.

The application is on ``localhost`` and the tenant on ``127.0.0.1``: two sites, as in life.  On one
site every fault with ``SameSite`` would stay hidden.  Nothing but loopback is ever contacted.
"""
