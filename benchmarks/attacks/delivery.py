"""Chains with a name: what platforms, editors and cameras do to a clip, as far as it is known.

Platforms do not publish how they encode. Every number below has its source, or is an assumption and says so. All of
them drop metadata and credentials.

`youtube`: for 1080 lines Google recommends VP9 at CRF 31, for up to 60 frames per second
    (developers.google.com/media/vp9/settings/vod). Assumed: that YouTube's own encoding is near it.
`whatsapp`: 480 lines is its standard quality, 720 its HD (press reports, as spidersweb.pl of June 2024). Assumed: 30
    frames per second, H.264 at 1 Mb/s.
`tiktok`: 1080 columns of upright video and 30 frames per second are what guides for uploads name. Assumed: that a
    telephone is sent 720 columns, HEVC at CRF 28.
`x`: 1280 x 720 at 2048 kb/s, at most 60 frames per second, is the largest step for upload in its table
    (docs.x.com/x-api/media/quickstart/best-practices). Assumed: that delivery is near it, H.264.
`social`, `screen-capture`: models of a small, slow, subtitled repost and of a screen of 24 frames per second that is
    filmed by hand at 30. All numbers are assumptions.
"""

from __future__ import annotations

from benchmarks.attacks.attack import Attack

DELIVERY: dict[str, Attack] = {
    "youtube": Attack("as YouTube may deliver", steps="cap:1080+fps-cap:60+vp9:31", changes_time=True),
    "whatsapp": Attack("as WhatsApp may send", steps="cap:480+fps-cap:30+x264-rate:1000", changes_time=True),
    "tiktok": Attack("as TikTok may deliver", steps="cap:720+fps-cap:30+x265:28", changes_time=True),
    "x": Attack("as X may deliver", steps="cap:720+fps-cap:60+x264-rate:2048", changes_time=True),
    "social": Attack(
        "a repost: small, slow, subtitled", steps="resize:0.5+fps:15+titles:0.1+x264:35", changes_time=True
    ),
    "screen-capture": Attack(
        "a screen filmed by hand",
        steps="perspective:0.1+gamma:1.2+moire:0.1+fps:30+noise:0.02+x264:28",
        changes_time=True,
    ),
}
