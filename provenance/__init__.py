"""Where a video clip comes from, and how we know: video, keys, watermarks, credentials, repository, checks, verdicts.

The lowest layer of Countermark: it imports none of the other packages, and torch only in the modules that need it.
"""
