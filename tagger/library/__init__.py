"""A person's collection: finding files, classifying them, and keeping what was heard."""
