"""Published watermarks of others as video watermarks, in an environment of their own (`make peers`).

`serve` and `engines` run there and import nothing of ours; everything else runs here and speaks to them in lines of
JSON over pipes.
"""
