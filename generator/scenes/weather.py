"""Scenes of weather: rain and snow."""

from __future__ import annotations

import torch
from torch import Tensor

from .landscapes import land
from .paint import Canvas, below, colour, gradient, mix, over, particles, ridge, rise, scaled, shaded, surface
from .world import World, clouds


def rain(canvas: Canvas, world: World) -> Tensor:
    """Slanting streaks in two depths before grey clouds and wet land."""
    light = world.light
    grey = scaled((0.50, 0.54, 0.60), mix(light.on_things, (1.0, 1.0, 1.0), 0.2))
    picture = gradient(canvas, mix(light.top, grey, 0.7), mix(light.bottom, grey, 0.6), 0.7)
    picture = clouds(canvas, world, picture, bottom=0.6, cover=0.35)
    wet = mix(world.tint, grey, 0.22)
    picture = land(canvas, world, picture, mix(wet, grey, 0.5), level=0.60, height=0.10, drift=0.01, salt=1)
    picture = land(canvas, world, picture, scaled(wet, 0.9), level=0.78, height=0.07, drift=0.03, salt=4)
    slant = world.wind * 0.28
    fall = abs(world.wind) * 0.22 + 0.25
    for number, cells, radius, strength in ((3, 10.0, 0.15, 0.45), (4, 6.0, 0.12, 0.6)):
        speed = fall * (8.0 / cells)
        drops = particles(
            canvas,
            number,
            cells,
            radius,
            dx=-slant * canvas.y + world.deals[7],
            dy=-speed * canvas.t + world.deals[8],
            stretch=6.0,
        )
        picture = over(picture, drops * strength, colour(mix(light.bottom, (0.92, 0.95, 1.0), 0.7)))
    return picture


def firs(canvas: Canvas, world: World, picture: Tensor, *, base: Tensor, cells: float, salt: int) -> Tensor:
    """A row of trees standing on the line y = base: pointed firs or round crowns, in the subject's colour."""
    moved = -world.wind * 0.02 * canvas.t + world.deals[salt]
    place = (canvas.x + moved) * cells
    tree = place.floor()
    size = 0.5 + 0.5 * torch.frac(torch.sin(tree * 12.9898 + salt) * 43758.5453).abs()
    inside = place - tree - 0.5
    up = (base + 0.02 - canvas.y) * cells / 1.5 / size  # 0 at the foot, 1 at the tip
    if world.angular:
        reach = 0.42 * (1 - up) * (0.75 + 0.25 * torch.frac(3 * up + 0.999)) * (up > 0)
    else:
        reach = torch.sqrt((0.18 - (up - 0.55) ** 2).clamp(min=0)) * 0.95 + 0.05 * ((up > 0) & (up < 0.4))
    edge = canvas.pixel * cells
    mask = rise(reach - inside.abs(), 0.0, 2 * edge) * (up > 0) * (up < 1)
    grain = surface(canvas, "rough", int(world.deals[salt] * 97), 1.0, dx=moved)
    crown = shaded(scaled(world.tint, 0.82), 0.92 + 0.16 * grain - 0.5 * inside)
    return over(picture, mask, crown)


def snow(canvas: Canvas, world: World) -> Tensor:
    """Big soft flakes in two depths before a row of trees on snowy ground."""
    light = world.light
    picture = gradient(canvas, mix(light.top, light.bottom, 0.35), light.bottom, 0.75)
    picture = clouds(canvas, world, picture, bottom=0.65, cover=0.1)
    ground = scaled(mix((0.93, 0.95, 1.0), world.tint, 0.06), mix(light.on_things, (1.0, 1.0, 1.0), 0.3))
    drift = -world.wind * 0.02 * canvas.t
    line = 0.72 - 0.05 * ridge(canvas.x + drift, (world.deals[1], world.deals[2]), False)
    picture = firs(canvas, world, picture, base=line, cells=3.6, salt=3)
    grain = surface(canvas, "cloudy", int(world.deals[4] * 97), 0.7, dx=drift, dy=world.deals[5])
    picture = over(picture, below(canvas, line), shaded(ground, 0.96 + 0.07 * grain - 0.12 * rise(canvas.y, 0.7, 1.0)))
    for number, cells, radius in ((5, 6.5, 0.16), (6, 4.0, 0.16)):
        sway = 0.02 * torch.sin(2.2 * canvas.t + 9.0 * canvas.y + number)
        flakes = particles(
            canvas,
            number,
            cells,
            radius,
            dx=-world.wind * 0.5 / cells * canvas.t + sway + world.deals[7],
            dy=-(0.45 + 0.45 * abs(world.wind)) * 1.1 / cells * canvas.t + world.deals[8],
        )
        picture = over(picture, flakes * 0.92, colour((0.97, 0.98, 1.0)))
    return picture
