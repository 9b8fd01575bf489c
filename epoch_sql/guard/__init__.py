"""Guarding branches: each move of one goes through ``moves``, which asks ``rules``; reviews and checks beside them."""
