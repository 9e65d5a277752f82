"""countermark generate: make a clip that says where it comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from countermark.cli import completion, options
from countermark.cli.session import Command, Session, pass_session


@click.command(cls=Command)
@click.argument("prompt")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Clip to write: .mp4 or .mov.")
@click.option("--seconds", type=float, default=2.0, show_default=True, help="How long it plays.")
@click.option("--size", type=int, metavar="LINES", help="Height of the clip in pixels; 512 by itself.")
@click.option("--seed", type=click.IntRange(0), help="Fixes everything random but the watermark id.")
@click.option("--steps", type=click.IntRange(1, 1000), default=20, show_default=True, help="Steps of the sampler.")
@click.option("--guidance", type=float, default=2.0, show_default=True, help="How closely to follow the prompt.")
@click.option("--image", type=click.Path(path_type=Path), metavar="FIRST.png", help="A picture to begin with.")
@click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many clips to make.")
@click.option("--unmarked-twin", is_flag=True, help="Also write the clip of the same seed without any mark.")
@click.option(
    "--model",
    default="built-in",
    show_default=True,
    metavar="NAME",
    help="Which model makes it.",
    shell_complete=completion.one_of(completion.MODELS),
)
@options.keys
@options.signer
@options.tsa
@options.force
@pass_session
def generate(
    session: Session,
    prompt: str,
    output: Path,
    seconds: float,
    size: int | None,
    seed: int | None,
    steps: int,
    guidance: float,
    image: Path | None,
    count: int,
    unmarked_twin: bool,
    model: str,
    key_names: tuple[str, ...],
    signer: str | None,
    tsa: str | None,
    force: bool,
) -> None:
    """Make a clip from PROMPT: marked in its noise and its luma, signed, remembered."""
    from countermark.wiring import generator, maker, picture
    from generator.marked import Wish
    from generator.text import parse_prompt
    from provenance.files import refuse_clashes

    outputs = [
        output if count == 1 else output.with_name(f"{output.stem}-{number + 1:03d}{output.suffix}")
        for number in range(count)
    ]
    twins = [out.with_name(f"{out.stem}.unmarked{out.suffix}") if unmarked_twin else None for out in outputs]
    refuse_clashes([image] if image is not None else [], [*outputs, *filter(None, twins)])
    options.refuse_foreign_name(output)
    first_frame = picture(image) if image is not None else None
    wish = Wish(prompt, seconds, seed, steps, guidance, first_frame, lines=size)
    understood = parse_prompt(prompt)
    make = maker(session.settings, generator(model), key_names, signer, tsa)
    for note in make.notes:
        session.say(note)
    for word in understood.unknown:
        session.say(f"the model does not know {word!r}: it is left out of account")
    for word in understood.overruled:
        session.say(f"{word!r} is left out of account: another word before it says otherwise")
    options.make_parent(output)
    for number, (out, twin) in enumerate(zip(outputs, twins, strict=True)):
        this = wish if seed is None else replace(wish, seed=seed + number)
        with session.progress(out.name) as advance:
            clip = make(this, out, twin=twin, force=force, told=advance)
        session.wrote(clip.path, f"id {clip.watermark_id:016x}")
        if clip.sidecar is not None:
            session.wrote(clip.sidecar, "its credentials")
        session.detail(f"manifest {clip.manifest_id}, seed {clip.seed}, {clip.seconds:.2f} s")
        if clip.twin is not None:
            session.wrote(clip.twin, "unmarked")
