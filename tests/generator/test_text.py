"""Prompts: what is understood, and what is named as not understood."""

import pytest

from generator.scenes import ATTRIBUTES, SCENES, deal_caption
from generator.text import MEANINGS, parse_prompt
from provenance.errors import UsageError


@pytest.mark.parametrize("seed", range(80))
def test_a_caption_is_read_back_whole(seed):
    caption = deal_caption(seed, SCENES[seed % len(SCENES)])
    prompt = parse_prompt(caption.text)
    assert dict(prompt.attributes) == dict(caption.attributes)
    assert prompt.unknown == ()


def test_words_without_meaning_are_named():
    prompt = parse_prompt("a purple elephant dances by the sea at dusk")
    assert prompt.unknown == ("elephant", "dances")
    assert dict(prompt.attributes) == {"scene": "ocean", "time": "sunset", "colour": "violet"}


def test_what_was_not_said_has_the_null_label():
    label = parse_prompt("snow").label
    assert label == (SCENES.index("snow"), *(len(values) for values in list(ATTRIBUTES.values())[1:]))


def test_the_first_scene_wins_and_the_second_is_named():
    prompt = parse_prompt("fire and snow")
    assert prompt.attributes["scene"] == "fire"
    assert (prompt.unknown, prompt.overruled) == ((), ("snow",))


def test_landscape_words_yield_to_a_named_scene():
    assert parse_prompt("clouds over hills").attributes["scene"] == "mountains"
    assert parse_prompt("clouds and hills in the rain").attributes["scene"] == "rain"


@pytest.mark.parametrize("text", ["", "   ", "?!", "42"])
def test_an_empty_prompt_is_refused_with_a_way_out(text):
    with pytest.raises(UsageError) as refused:
        parse_prompt(text)
    assert "mountains" in refused.value.hint


def test_every_meaning_is_an_attribute_the_model_knows():
    for meanings in MEANINGS.values():
        for attribute, value in meanings:
            assert value in (SCENES if attribute == "hint" else ATTRIBUTES[attribute])
