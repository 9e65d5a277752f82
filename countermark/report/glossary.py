"""What findings and grades mean, in one sentence each, for people who meet them for the first time."""

from __future__ import annotations

FINDINGS: dict[str, str] = {
    "generated": "Somebody's signature or keyed watermark says that a model made this clip.",
    "generated_in_part": "The same, of a part of the clip only.",
    "captured": "A trusted credential says that a camera recorded this clip.",
    "edited": "A trusted credential says that people edited this clip.",
    "marked": "Its owner signed or watermarked the clip; nothing that counts says how it was made.",
    "likely_generated": "Classifiers alone find it similar to generated clips. They can be wrong.",
    "conflict": "Two pieces of evidence contradict each other: a watermark may be copied, a credential moved.",
    "inconclusive": "Something was measured, and it does not suffice to say more.",
    "no_evidence": "Nothing was found. This says neither that the clip is genuine nor that it is not.",
}
GRADES: dict[str, str] = {
    "established": "A trusted signature over unchanged bytes, or a watermark under a secret key whose manifest fits.",
    "recovered": "A trusted manifest, found through a public watermark, that fits this content though bytes differ.",
    "declared": "Somebody says so for whom nobody vouches, or a watermark that could have been copied.",
    "suspected": "Classifiers, traces, or mere resemblance.",
    "none": "Nothing carries the finding.",
}
