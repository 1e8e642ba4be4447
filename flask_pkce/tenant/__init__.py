"""Everything that the library says to a tenant."""
