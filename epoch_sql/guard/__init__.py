"""Guards branches: each move of a branch goes through ``moves``, which asks ``rules``. Also reviews and checks."""
