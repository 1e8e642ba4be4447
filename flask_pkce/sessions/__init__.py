"""What the server remembers about one caller, and how it is stored."""
