"""The stores of remotes: folders and object stores behind one small interface."""
