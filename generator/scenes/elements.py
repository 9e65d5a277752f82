"""Scenes of single things: fire, smoke, and balls."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .landscapes import land
from .paint import Canvas, below, colour, disc, glow, gradient, mix, over, particles, rise, scaled, shaded, surface
from .world import World, clouds, sky


def fire(canvas: Canvas, world: World) -> Tensor:
    """Flames that rise and lean with the wind, with sparks, before an evening meadow."""
    deals = world.deals
    light = world.light
    picture = gradient(canvas, scaled(light.top, 0.75), scaled(light.bottom, 0.75), 0.8)
    soil = mix(scaled((0.30, 0.24, 0.20), light.on_things), world.pure_tint, 0.12)
    picture = land(canvas, world, picture, soil, level=0.80, height=0.03, drift=0.0, salt=2)
    middle = 0.35 + 0.3 * deals[1]
    up = (0.88 - canvas.y) / 0.75  # 0 at the logs, 1 at the tips
    lean = canvas.x - middle - 0.10 * world.wind * up.clamp(0, 1) ** 1.5
    rising = canvas.t * (0.20 + 0.20 * abs(world.wind))
    scale = 0.9 if world.angular else 0.5
    number = int(deals[3] * 97)
    wobble = surface(canvas, "smooth", number, scale, dx=deals[4], dy=rising + deals[5])
    tongue = surface(canvas, "cloudy", number + 1, scale, dx=deals[6], dy=1.3 * rising + deals[7])
    width = (0.34 if not world.angular else 0.27) * torch.sqrt((1.05 - up).clamp(0, 1)) * rise(up, -0.12, 0.15)
    heat = 1.0 - (lean + 0.05 * wobble * up.clamp(min=0)).abs() / (width + 0.02) - 0.55 * up.clamp(min=0)
    heat = heat + (0.26 * wobble + 0.22 * tongue) * (0.3 + up.clamp(0, 1))
    heat = heat - 4.0 * (up - 0.85).clamp(min=0)
    heat = torch.where(up < -0.06, torch.full_like(heat, -1.0), heat)
    halo = glow(canvas, middle, 0.62, 0.30) * (0.55 + 0.06 * torch.sin(9 * canvas.t + 6 * deals[8]))
    hot = mix(world.pure_tint, (1.0, 0.93, 0.65), 0.75)
    picture = over(picture, halo.expand(canvas.shape), colour(mix(world.pure_tint, (1.0, 0.6, 0.3), 0.25)))
    picture = over(picture, rise(heat, 0.0, 0.22), colour(world.pure_tint))
    picture = over(picture, rise(heat, 0.30, 0.85), colour(hot))
    picture = over(picture, rise(heat, 0.75, 1.2), colour((1.0, 0.98, 0.88)))
    sparks = particles(canvas, 8, 9.0, 0.10, dx=-0.06 * world.wind * canvas.t, dy=0.9 * rising + deals[9])
    near = rise(0.34 - lean.abs(), 0.0, 0.2) * rise(up, 0.2, 0.6)
    return over(picture, sparks * near, colour(hot))


def smoke(canvas: Canvas, world: World) -> Tensor:
    """A plume that rises from the ground, widens, and bends with the wind."""
    deals = world.deals
    picture = clouds(canvas, world, sky(canvas, world, 0.8, lamp=False), bottom=0.5, cover=-0.4)
    earth = scaled(mix((0.42, 0.44, 0.36), world.pure_tint, 0.1), world.light.on_things)
    picture = land(canvas, world, picture, earth, level=0.84, height=0.04, drift=0.01, salt=2)
    source = 0.5 - 0.25 * math.copysign(1.0, world.wind) * (0.4 + 0.6 * deals[1])
    up = (0.86 - canvas.y).clamp(min=0)
    rising = canvas.t * (0.16 + 0.14 * abs(world.wind))
    number = int(deals[3] * 97)
    scale = 1.15 if world.angular else 0.7
    bend = world.wind * 0.42 * up**1.4
    shear = -bend - 0.04 * world.wind * canvas.t
    big = surface(canvas, "smooth", number, scale * 0.8, dx=shear + deals[4], dy=rising + deals[5])
    small = surface(canvas, "cloudy", number + 1, scale, dx=shear + deals[6], dy=1.2 * rising + deals[7])
    middle = source + bend + 0.05 * up * torch.sin(7 * up - 5 * rising + 6 * deals[8])
    width = 0.045 + 0.24 * up
    inside = (
        1.15
        + 1.3 * (1 - rise(up, 0.0, 0.3))
        - ((canvas.x - middle) / width) ** 2
        + 0.5 * big
        + (0.45 if world.angular else 0.25) * small
    )
    mask = rise(inside, 0.0, 0.8) * rise(up, 0.0, 0.03) * (1 - 0.45 * rise(up, 0.35, 0.95))
    shade = (0.86 + 0.15 * small + 0.12 * big - 0.18 * (canvas.x - middle) / width).clamp(0.45, 1.35)
    return over(
        picture, mask * 0.95, shaded(mix(world.tint, scaled((0.8, 0.8, 0.8), world.light.on_things), 0.18), shade)
    )


def _bounce(part: Tensor) -> Tensor:
    """To and fro between 0 and 1 (a triangle wave of period 2)."""
    return 1 - (part.remainder(2.0) - 1).abs()


def balls(canvas: Canvas, world: World) -> Tensor:
    """A ball or a tumbling box that bounces through a room, with its shadow on the floor."""
    deals = world.deals
    light = world.light
    picture = gradient(canvas, mix(light.top, light.bottom, 0.2), light.bottom, 0.9)
    wall = surface(canvas, "cloudy", int(deals[0] * 97), 0.5, dx=deals[1], dy=deals[2])
    picture = picture * (1 + 0.05 * wall)[:, None]
    level = 0.72
    floor = scaled(mix((0.72, 0.62, 0.50), light.bottom, 0.2), light.on_things)
    plank = surface(canvas, "cloudy", int(deals[3] * 97), 0.6, dx=deals[4], dy=deals[5])
    shade = 0.78 + 0.08 * plank + 0.5 * (canvas.y - level).clamp(min=0)
    picture = over(picture, below(canvas, torch.full_like(canvas.y, level)), shaded(floor, shade))
    radius = 0.12 + 0.035 * deals[6]
    beat = canvas.t * (0.35 + 0.25 * abs(world.wind)) + deals[7]
    hop = 4 * torch.frac(beat) * (1 - torch.frac(beat))
    x = 0.14 + 0.72 * _bounce((0.5 if world.wind > 0 else 1.5) + 0.8 * (deals[8] - 0.5) + 0.30 * world.wind * canvas.t)
    y = 0.86 - radius - (0.24 + 0.16 * deals[9]) * hop
    flat = torch.exp(-(((canvas.x - x) / (radius * (1 + 0.3 * hop))) ** 2 + ((canvas.y - 0.865) / 0.035) ** 2))
    picture = over(picture, flat * (0.6 - 0.3 * hop), colour(scaled(floor, 0.3)))
    if world.angular:
        turn = 0.8 * world.wind * canvas.t + 6.28 * deals[10]
        across, down = canvas.x - x, canvas.y - y
        side = across * torch.cos(turn) + down * torch.sin(turn)
        rear = -across * torch.sin(turn) + down * torch.cos(turn)
        mask = rise(radius * 0.86 - torch.maximum(side.abs(), rear.abs()), -canvas.pixel, canvas.pixel)
        light_map = 0.92 - 0.9 * side - 0.5 * rear
    else:
        mask = disc(canvas, x, y, radius)
        spot = torch.sqrt((canvas.x - x + 0.4 * radius) ** 2 + (canvas.y - y + 0.45 * radius) ** 2) / radius
        light_map = 1.18 - 0.42 * spot + 0.5 * torch.exp(-((spot / 0.28) ** 2))
    return over(picture, mask, shaded(mix(world.tint, world.pure_tint, 0.3), light_map))
