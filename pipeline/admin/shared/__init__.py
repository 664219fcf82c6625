"""What several pages of the admin share."""
