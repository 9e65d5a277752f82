"""The procedural, captioned, moving scenes that the built-in model learns and benchmarks render anywhere."""

from .caption import ATTRIBUTES, SCENES, Caption
from .render import BASE_RATE, deal_caption, render, render_clips

__all__ = ["ATTRIBUTES", "BASE_RATE", "SCENES", "Caption", "deal_caption", "render", "render_clips"]
