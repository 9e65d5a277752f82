"""Scenes of wide country: mountains, ocean, stars."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .paint import (
    Canvas,
    Colour,
    below,
    colour,
    gradient,
    mix,
    over,
    particles,
    ridge,
    rise,
    scaled,
    shaded,
    surface,
)
from .world import World, clouds, sky


def land(
    canvas: Canvas, world: World, picture: Tensor, tint: Colour, *, level: float, height: float, drift: float, salt: int
) -> Tensor:
    """One range of hills or peaks below about y = level, textured, moving by drift * wind."""
    moved = -world.wind * drift * canvas.t
    deals = world.deals
    x = canvas.x + moved + 3.7 * salt
    line = level - height * ridge(x, (deals[salt], deals[salt + 1], deals[salt + 2]), world.angular)
    grain = surface(canvas, "cloudy", int(deals[salt] * 97), 0.8, dx=moved + deals[salt + 1], dy=deals[salt + 2])
    depth = rise(canvas.y - line, 0.0, 0.35)
    light = 1.06 + 0.14 * grain - 0.22 * depth
    return over(picture, below(canvas, line), shaded(tint, light))


def mountains(canvas: Canvas, world: World) -> Tensor:
    """Clouds over three ranges, the farther the paler and the slower."""
    picture = clouds(canvas, world, sky(canvas, world, 0.75), bottom=0.62)
    haze = world.light.bottom
    for salt, (level, height, share, drift) in enumerate(
        ((0.56, 0.13, 0.62, 0.01), (0.68, 0.11, 0.30, 0.025), (0.84, 0.08, 0.0, 0.05))
    ):
        dark = scaled(world.tint, 1.0 - 0.12 * salt)
        picture = land(
            canvas, world, picture, mix(dark, haze, share), level=level, height=height, drift=drift, salt=salt + 1
        )
    return picture


def ocean(canvas: Canvas, world: World) -> Tensor:
    """Water to the horizon under sky and clouds: waves in perspective, the lamp's glitter below the lamp."""
    horizon = 0.42 + 0.1 * world.deals[1]
    picture = clouds(canvas, world, sky(canvas, world, horizon), bottom=horizon)
    depth = (canvas.y - horizon).clamp(min=0)
    near = 1 / (depth + 0.10)  # perspective: rows crowd towards the horizon
    travel = -world.wind * canvas.t
    across = (canvas.x - 0.5) * near
    sharp = 1.0 if world.angular else 0.35
    swell = torch.sin(2 * math.pi * (0.9 * near + 0.10 * across + 0.45 * travel + world.deals[2]))
    cross = torch.sin(2 * math.pi * (0.5 * near - 0.30 * across + 0.33 * travel + world.deals[3]))
    chop = surface(
        canvas, "cloudy", int(world.deals[4] * 97), 1.0, dx=0.22 * travel, dy=world.deals[5] + 0.03 * canvas.t
    )
    height = 0.5 * swell + 0.35 * cross + sharp * chop
    light = 0.86 + 0.14 * height + 0.25 * depth
    water = over(shaded(world.tint, light), (1 - rise(depth, 0.0, 0.3)) * 0.5, colour(world.light.bottom))
    column = torch.exp(-((canvas.x - world.lamp_x) ** 2) / (2 * (0.06 + 0.18 * depth) ** 2))
    glitter = column * rise(height, 0.25, 1.1) * 0.8
    foam = rise(height, 1.0, 1.6) * 0.6 * sharp
    water = over(water, foam, colour(mix(world.light.bottom, (1.0, 1.0, 1.0), 0.6)))
    water = over(water, glitter, colour(world.light.lamp))
    return over(picture, below(canvas, torch.full_like(canvas.y, horizon)), water)


def stars(canvas: Canvas, world: World) -> Tensor:
    """A starry sky with a nebula that glows in the subject's colour, over dark land."""
    deals = world.deals
    light = world.light
    dim = scaled(mix(light.top, (0.07, 0.08, 0.22), 0.72), 1.0)
    picture = gradient(canvas, dim, mix(light.bottom, (0.14, 0.14, 0.30), 0.45), 0.9)
    moved = -world.wind * 0.07 * canvas.t
    cloud = surface(canvas, "smooth", int(deals[0] * 97), 0.6, dx=moved + deals[1], dy=deals[2])
    fine = surface(canvas, "cloudy", int(deals[3] * 97), 0.7, dx=moved + deals[4], dy=deals[5])
    band = torch.exp(-((canvas.y - 0.38 - 0.35 * (deals[6] - 0.5) * (canvas.x - 0.5) * 2) ** 2) / (2 * 0.20**2))
    nebula = band * (0.62 + 0.26 * cloud + 0.20 * fine).clamp(0, 1)
    picture = over(picture, nebula * 0.85, colour(mix(world.pure_tint, (1.0, 1.0, 1.0), 0.12)))
    for number, cells, radius in ((1, 6.5, 0.10), (2, 4.0, 0.09)):
        twinkle = 0.8 + 0.2 * torch.sin(5 * canvas.t + 40 * canvas.x)
        dots = particles(canvas, number, cells, radius, dx=moved + deals[7], dy=torch.as_tensor(deals[8]))
        picture = over(picture, dots * twinkle, colour((1.0, 0.98, 0.92)))
    dark = mix(scaled(world.tint, 0.22), (0.08, 0.08, 0.14), 0.5)
    return land(canvas, world, picture, dark, level=0.86, height=0.07, drift=0.03, salt=1)
