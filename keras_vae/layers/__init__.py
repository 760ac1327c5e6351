"""Distribution layers."""
