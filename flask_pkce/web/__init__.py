"""The routes: who calls, whether they may, what they sent, and what they get."""
