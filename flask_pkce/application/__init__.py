"""What the application's own views use."""
