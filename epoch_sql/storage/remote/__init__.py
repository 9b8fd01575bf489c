"""Where remotes are: folders and object stores behind one small interface."""
