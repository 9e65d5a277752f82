"""From free text to what the model understands: attributes, and the words that mean nothing to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from provenance.errors import UsageError

from .scenes import ATTRIBUTES, SCENES

_WORDS: Mapping[str, str] = {
    # scenes, and words that only hint at one
    "scene=mountains": "mountain mountains alps summit summits range landscape",
    "scene=ocean": "ocean sea seas water wave waves swell surf lake coast beach",
    "scene=rain": "rain rainy raining drizzle downpour shower showers storm stormy",
    "scene=snow": "snow snowy snowing snowfall snowflake snowflakes blizzard winter",
    "scene=fire": "fire fires flame flames campfire bonfire blaze burning",
    "scene=smoke": "smoke smoky plume steam chimney fume fumes",
    "scene=stars": "star stars starry nebula galaxy cosmos space milky",
    "scene=balls": "ball balls bouncing bounce bounces box cube sphere",
    "hint=mountains": "hill hills peak peaks cloud clouds cloudy valley cliff cliffs",
    "hint=snow": "tree trees fir firs forest",
    "hint=stars": "sky universe",
    "time=dawn": "dawn sunrise morning daybreak",
    "time=day": "day daylight noon midday afternoon sunny daytime",
    "time=sunset": "sunset dusk evening twilight",
    "time=night": "night midnight nighttime moon moonlight moonlit",
    "direction=left": "left leftward leftwards west westward",
    "direction=right": "right rightward rightwards east eastward",
    "speed=slow": "slow slowly calm gentle gently quiet peaceful lazy",
    "speed=fast": "fast quick quickly rapid rapidly wild swift racing windy",
    "colour=red": "red crimson scarlet ruby",
    "colour=orange": "orange amber golden gold yellow",
    "colour=green": "green emerald jade",
    "colour=blue": "blue azure navy cyan turquoise",
    "colour=violet": "violet purple magenta lilac pink",
    "colour=white": "white grey gray silver pale",
    "shape=round": "round rounded rolling smooth soft ball balls sphere",
    "shape=angular": "angular jagged pointed sharp choppy rugged box cube spiky",
    "camera=still": "still static fixed tripod",
    "camera=pan": "pan panning pans",
    "camera=zoom": "zoom zooming zooms closer approaching",
}
_WITHOUT_MEANING = """
a an the of in on at by to with and or over under above below through from into behind before near is are it
its as very some clip video film movie shot scene picture camera view moving moves drift drifting drifts
slanting flickering flickers rising rises falling falls toward towards up down across there light weather
"""
_SILENT = frozenset(_WITHOUT_MEANING.split())  # nobody needs to be told about these


def _meanings() -> Mapping[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for meaning, words in _WORDS.items():
        attribute, value = meaning.split("=")
        for word in words.split():
            found[word] = (*found.get(word, ()), (attribute, value))
    return MappingProxyType(found)


MEANINGS = _meanings()
"""Every known word -> the (attribute, value) pairs that it says; a "hint" is a scene, where no word names one."""


@dataclass(frozen=True)
class Prompt:
    """A prompt as the model understands it."""

    text: str
    attributes: Mapping[str, str]
    """Attribute name -> value, for those that the text speaks of."""
    unknown: tuple[str, ...]
    """Words that are not in the vocabulary."""
    overruled: tuple[str, ...] = ()
    """Words that say another scene, time, colour, ... than one before them did: the first counts."""

    @property
    def label(self) -> tuple[int, ...]:
        """One number per attribute in the order of `ATTRIBUTES`; the number of its values where nothing was said."""
        return tuple(
            values.index(self.attributes[name]) if name in self.attributes else len(values)
            for name, values in ATTRIBUTES.items()
        )


def parse_prompt(text: str) -> Prompt:
    """Read a prompt. The first word on an attribute counts.

    Raises UsageError for a prompt without a single letter.
    """
    words = re.findall(r"[^\W\d_]+", text.lower())
    if not words:
        raise UsageError("the prompt is empty", hint=f"name a scene, such as {', '.join(SCENES)}")
    said: dict[str, str] = {}
    unknown: list[str] = []
    overruled: list[str] = []
    for word in words:
        meant = MEANINGS.get(word, ())
        for attribute, value in meant:
            said.setdefault(attribute, value)
        heard = any(said[attribute] == value for attribute, value in meant if attribute != "hint")
        hinted = any(attribute == "hint" for attribute, _ in meant)
        idle = overruled if meant else unknown
        if not heard and not hinted and word not in _SILENT and word not in idle:
            idle.append(word)
    hint = said.pop("hint", None)
    if hint is not None:
        said.setdefault("scene", hint)
    return Prompt(
        text,
        MappingProxyType({name: said[name] for name in ATTRIBUTES if name in said}),
        tuple(unknown),
        tuple(overruled),
    )
