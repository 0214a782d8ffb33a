"""Geometries that come with fullchain, in XML files of its own."""
