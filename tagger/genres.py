"""The ten genres of GTZAN, and how each is written in a tag."""

GENRES = (
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
)

# As players, Discogs and the ID3v1 list write them: ID3v1 knows all ten in this spelling.
TAG_NAMES = {genre: genre.capitalize() for genre in GENRES} | {"hiphop": "Hip-Hop"}


def tag_name(genre: str) -> str:
    """Return a genre label as it is written in a tag: ``hiphop`` becomes ``Hip-Hop``."""
    return TAG_NAMES.get(genre, genre.replace("_", " ").title())
