"""What the attributes of a caption mean in pixels: light, colours, wind, and what a seed deals to one clip."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .paint import Canvas, Colour, colour, disc, glow, gradient, mix, over, rise, scaled, surface

TINTS: Mapping[str, Colour] = {
    "red": (0.80, 0.22, 0.20),
    "orange": (0.90, 0.55, 0.18),
    "green": (0.26, 0.60, 0.27),
    "blue": (0.20, 0.42, 0.78),
    "violet": (0.56, 0.32, 0.74),
    "white": (0.86, 0.86, 0.88),
}


@dataclass(frozen=True)
class Light:
    """The light of a time of day."""

    top: Colour
    """The sky's colour overhead."""
    bottom: Colour
    """The sky's colour at the horizon."""
    lamp: Colour
    """The sun's or moon's colour."""
    on_things: Colour
    """What it multiplies the colours of things with."""


LIGHTS: Mapping[str, Light] = {
    "dawn": Light((0.50, 0.58, 0.84), (0.99, 0.80, 0.76), (1.0, 0.94, 0.84), (0.92, 0.82, 0.86)),
    "day": Light((0.26, 0.52, 0.90), (0.76, 0.89, 0.98), (1.0, 0.99, 0.90), (1.0, 1.0, 0.98)),
    "sunset": Light((0.42, 0.26, 0.52), (0.99, 0.58, 0.28), (1.0, 0.84, 0.50), (0.94, 0.68, 0.55)),
    "night": Light((0.08, 0.11, 0.27), (0.21, 0.25, 0.44), (0.90, 0.92, 0.98), (0.42, 0.46, 0.66)),
}


@dataclass(frozen=True)
class World:
    """One clip's caption in numbers, with everything its seed deals."""

    light: Light
    tint: Colour
    """The colour of the scene's subject under this light."""
    pure_tint: Colour
    """The same in white light (for what glows)."""
    angular: bool
    wind: float
    """Direction and speed of what moves, picture heights per second times about ten; positive to the right."""
    lamp_x: float
    lamp_y: float
    deals: tuple[float, ...]
    """Uniform numbers in [0, 1) for whatever a scene wants to vary."""

    @classmethod
    def of(cls, attributes: Mapping[str, str], dice: random.Random) -> World:
        """The world of these attributes; the dice decide the rest."""
        light = LIGHTS[attributes["time"]]
        tint = TINTS[attributes["colour"]]
        sign = 1.0 if attributes["direction"] == "right" else -1.0
        return cls(
            light=light,
            tint=scaled(tint, light.on_things),
            pure_tint=tint,
            angular=attributes["shape"] == "angular",
            wind=sign * (0.5 if attributes["speed"] == "slow" else 1.3) * (0.9 + 0.2 * dice.random()),
            lamp_x=0.2 + 0.6 * dice.random(),
            lamp_y=0.14 + 0.14 * dice.random() + (0.1 if attributes["time"] in ("dawn", "sunset") else 0.0),
            deals=tuple(dice.random() for _ in range(12)),
        )


def sky(canvas: Canvas, world: World, horizon: float, *, lamp: bool = True) -> Tensor:
    """The sky down to y = horizon, with sun or moon -> (time, 3, height, width)."""
    light = world.light
    picture = gradient(canvas, light.top, light.bottom, horizon)
    if lamp:
        halo = 0.55 * glow(canvas, world.lamp_x, world.lamp_y, 0.13).expand(canvas.shape)
        picture = over(picture, halo, colour(light.lamp))
        picture = over(
            picture, disc(canvas, world.lamp_x, world.lamp_y, 0.065).expand(canvas.shape), colour(light.lamp)
        )
    return picture


def clouds(canvas: Canvas, world: World, picture: Tensor, *, bottom: float, cover: float = 0.0) -> Tensor:
    """Clouds that drift with the wind, thinning out towards y = bottom; cover shifts how much they hide."""
    moved = -world.wind * 0.10 * canvas.t
    number = int(world.deals[0] * 97)
    big = surface(canvas, "smooth", number, 0.55, dx=moved + world.deals[1], dy=world.deals[2])
    small = surface(canvas, "cloudy", number + 1, 0.5, dx=moved * 1.15 + world.deals[3], dy=world.deals[4])
    density = 0.8 * big + 0.45 * small + cover
    mask = rise(density, 0.1, 1.2) * (1 - rise(canvas.y, bottom * 0.55, bottom * 1.02)) * 0.9
    lit = scaled(mix(world.light.bottom, (1.0, 1.0, 1.0), 0.62), mix(world.light.on_things, (1.0, 1.0, 1.0), 0.25))
    shade = (0.94 + 0.10 * small).clamp(0.6, 1.1)
    return over(picture, mask, colour(lit) * shade[:, None])


def paper(canvas: Canvas, picture: Tensor, world: World) -> Tensor:
    """The painterly grain of every clip: a mottle that slowly changes, as in hand-painted animation."""
    number = int(world.deals[5] * 97)
    phase = 2.4 * canvas.t + 6.28 * world.deals[6]
    first = surface(canvas, "rough", number, 1.6, dx=world.deals[7], dy=world.deals[8])
    second = surface(canvas, "rough", number + 1, 1.6, dx=world.deals[9], dy=world.deals[10])
    grain = first * torch.cos(phase) + second * torch.sin(phase)
    return picture + (0.026 * grain)[:, None]
