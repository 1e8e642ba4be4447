"""Small applications, each a few lines away from the first."""
