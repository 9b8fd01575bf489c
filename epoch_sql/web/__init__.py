"""``epoch ui``: pages in a browser, for one user on one machine, on which promotions are reviewed, merged and undone.

``serving`` starts it, ``gate`` decides who may talk to it, ``lease`` opens the database for a request and closes it
soon after. Each module of pages gathers what its templates show. It needs the extra ``[ui]``.
"""
