"""What a scene shows, as attributes, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "scene": ("mountains", "ocean", "rain", "snow", "fire", "smoke", "stars", "balls"),
        "time": ("dawn", "day", "sunset", "night"),
        "direction": ("left", "right"),
        "speed": ("slow", "fast"),
        "colour": ("red", "orange", "green", "blue", "violet", "white"),
        "shape": ("round", "angular"),
        "camera": ("still", "pan", "zoom"),
    }
)
"""Every attribute of a caption and the values it can take, in the order of the model's embeddings."""

SCENES: tuple[str, ...] = ATTRIBUTES["scene"]
"""The names of all scenes."""

_TIME = {"dawn": "at dawn", "day": "by day", "sunset": "at sunset", "night": "at night"}
_CAMERA = {"still": "still camera", "pan": "panning camera", "zoom": "zooming camera"}
_SUBJECT = {
    ("mountains", "round"): "clouds drifting {direction} over {colour} rolling hills",
    ("mountains", "angular"): "clouds drifting {direction} over {colour} jagged mountains",
    ("ocean", "round"): "smooth {colour} ocean swell moving {direction}",
    ("ocean", "angular"): "choppy {colour} ocean waves moving {direction}",
    ("rain", "round"): "rain slanting {direction} over rounded {colour} hills",
    ("rain", "angular"): "rain slanting {direction} over jagged {colour} peaks",
    ("snow", "round"): "snow drifting {direction} over round {colour} trees",
    ("snow", "angular"): "snow drifting {direction} over pointed {colour} firs",
    ("fire", "round"): "a round {colour} fire flickering to the {direction}",
    ("fire", "angular"): "jagged {colour} fire flames flickering to the {direction}",
    ("smoke", "round"): "round {colour} smoke drifting {direction}",
    ("smoke", "angular"): "jagged {colour} smoke drifting {direction}",
    ("stars", "round"): "stars moving {direction} in a {colour} nebula over rounded hills",
    ("stars", "angular"): "stars moving {direction} in a {colour} nebula over jagged peaks",
    ("balls", "round"): "a {colour} ball bouncing to the {direction}",
    ("balls", "angular"): "a {colour} box bouncing to the {direction}",
}


@dataclass(frozen=True)
class Caption:
    """A sentence about a clip, and the attributes behind it (every name of `ATTRIBUTES`)."""

    text: str
    """One English sentence; `generator.text.parse_prompt` reads the same attributes back from it."""
    attributes: Mapping[str, str]
    """Attribute name -> value."""

    def __post_init__(self) -> None:
        for name, value in self.attributes.items():
            if value not in ATTRIBUTES.get(name, ()):
                raise ValueError(f"no such attribute: {name}={value}")

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> Caption:
        """Write the sentence for a complete set of attributes."""
        if set(attributes) != set(ATTRIBUTES):
            raise ValueError(f"a caption needs exactly {', '.join(ATTRIBUTES)}")
        subject = _SUBJECT[attributes["scene"], attributes["shape"]].format(**attributes)
        text = f"{subject} {_TIME[attributes['time']]}, {attributes['speed']}, {_CAMERA[attributes['camera']]}"
        return cls(text, MappingProxyType(dict(attributes)))
