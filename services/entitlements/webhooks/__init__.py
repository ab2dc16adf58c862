"""Telling machines: each notification posted, signed, to the URLs that its recipients named, until it is taken."""
