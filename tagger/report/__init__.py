"""What was heard, as tables, pages and playlists."""
