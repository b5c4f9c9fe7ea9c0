"""Novel views of a scene from posed pictures, by volume rendering."""
