"""The steps of a sign-in, without HTTP."""
