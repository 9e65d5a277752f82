"""Peers: what they are shown, how their votes count, and that one which misbehaves is an error and not a hang.

Those that need the peers' environment skip where `make peers` was not run, except where it was promised.
"""

from __future__ import annotations

import json
import math
import os
import site
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.attacks import attack_clip
from benchmarks.marks import bench_key, bench_message, mark_named
from benchmarks.peers import environment
from benchmarks.peers.candidates import CANDIDATES, Candidate, distinct, shown, spread
from benchmarks.peers.conversation import Conversation
from benchmarks.peers.environment import PEERS, Peer, available_peers, conversation
from benchmarks.peers.peer_mark import _log10_cost, bits_of, number_of
from provenance.errors import CannotRead, NeedsExtra, TookTooLong, UnknownName, UsageError
from provenance.video import Clip
from provenance.watermarks.payload import Origin

ENGINES = Path(environment.__file__).parent
KEY, OTHER = bench_key(0), bench_key(0, "other")
INSTALLED = ("dwtDct", "dwtDctSvd", "RivaGAN", "blind-watermark")


@pytest.fixture
def peers() -> Path:
    """The Python of the peers' environment."""
    path = environment.python()
    if path is None:
        assert "peers" not in os.environ.get("COUNTERMARK_PROMISED", ""), "the peers were promised"
        pytest.skip("the peers' environment is not here: make peers")
    return path


def scene(frames: int = 3, height: int = 256, width: int = 320) -> Clip:
    """Something smooth that moves, in colour, with a little grain."""
    y, x = np.mgrid[:height, :width]
    grain = np.random.default_rng(1).normal(0, 3, (height, width, 3))
    waves = [
        np.stack([128 + 60 * np.sin((x + 3 * t) / p) * np.cos(y / q) for p, q in ((31, 23), (47, 19), (37, 41))], -1)
        for t in range(frames)
    ]
    return Clip.at_rate(np.clip(np.stack(waves) + grain, 0, 255).astype(np.uint8), 24)


class TestWhatAReaderIsShown:
    def test_as_it_is_comes_first(self) -> None:
        assert CANDIDATES[0] == Candidate()

    def test_a_clip_of_the_marked_size_is_not_shown_twice(self) -> None:
        found = distinct((360, 640), (360, 640))
        assert len(found) == len({(one.share, one.mirror) for one in found}) == 8
        assert found[0] == Candidate()

    def test_nothing_is_laid_on_a_canvas_that_is_smaller(self) -> None:
        assert not [one for one in distinct((720, 1280), (360, 640)) if one.placed and one.share is None]

    def test_without_the_marked_size_there_are_the_mirror_images(self) -> None:
        assert [one.mirror for one in distinct((360, 640), None)] == ["", "left and right", "top and bottom", "both"]

    @pytest.mark.parametrize("side", [0.9, 0.71, 0.55])
    def test_a_centred_crop_goes_back_where_it_was(self, side: float) -> None:
        clip = scene()
        cut = attack_clip(clip, f"crop:{side}", 0).frames
        placed = shown(cut, Candidate(placed=True), (256, 320))
        top, left = (256 - cut.shape[1]) // 2, (320 - cut.shape[2]) // 2
        inside = np.s_[:, top : top + cut.shape[1], left : left + cut.shape[2]]
        assert placed.shape == clip.frames.shape
        assert np.array_equal(placed[inside], clip.frames[inside])

    @pytest.mark.parametrize(
        "chain", ["crop-restored:.71", "crop:.8+resize:.5", "crop:.9", "resize:.5", "flip", "turn:2"]
    )
    def test_some_candidate_undoes_what_geometry_did(self, chain: str) -> None:
        clip = scene()
        attacked = attack_clip(clip, chain, 0)
        middle = np.s_[:, 80:176, 100:220]
        errors = [
            np.abs(view[middle].astype(int) - clip.frames[middle]).mean()
            for one in distinct((attacked.height, attacked.width), (256, 320))
            if (view := shown(attacked.frames, one, (256, 320))).shape == clip.frames.shape
        ]
        assert min(errors) < 4
        assert np.median(errors) > 8

    def test_ten_frames_are_spread_over_the_clip(self) -> None:
        assert list(spread(48, 10)) == [0, 5, 10, 16, 21, 26, 31, 37, 42, 47]
        assert list(spread(3, 10)) == [0, 1, 2]
        assert list(spread(1, 10)) == [0]


class TestWhatCounts:
    def test_the_shares_of_the_false_alarms_add_up(self) -> None:
        for count in (1, 2, 8, 14):
            assert sum(10 ** -_log10_cost(n, count) for n in range(count)) == pytest.approx(1)

    def test_messages_and_bits(self) -> None:
        assert list(bits_of(0b0110, 4)) == [0, 1, 1, 0]
        assert number_of(bits_of(0xDEADBEEF, 32)) == 0xDEADBEEF
        with pytest.raises(ValueError, match="no message of 32 bits"):
            bits_of(1 << 32, 32)

    def test_a_peer_s_message_has_at_most_64_bits(self) -> None:
        with pytest.raises(ValueError, match="64"):
            Peer("long", "dwtDct", 65)


def talker(text: str, name: str = "talker") -> Conversation:
    start = "import json, sys, time, os\nprint('{}', flush=True)\n"
    return Conversation(name, [sys.executable, "-c", start + text])


class TestConversations:
    def test_a_process_stays_warm(self) -> None:
        one = talker(
            "for line in sys.stdin: print(json.dumps({'pid': os.getpid(), 'got': json.loads(line)}), flush=True)"
        )
        first, second = one.ask({"a": 1}, 10), one.ask({"b": 2}, 10)
        assert first["pid"] == second["pid"] == one.pid
        assert (first["got"], second["got"]) == ({"a": 1}, {"b": 2})
        one.close()
        assert one.pid is None

    @pytest.mark.parametrize(
        ("program", "said"),
        [
            ("sys.stdin.readline(); print('not JSON', flush=True); time.sleep(60)", "'not JSON', which is no answer"),
            ("sys.stdin.readline(); print('[1]', flush=True); time.sleep(60)", "no answer"),
            (
                "sys.stdin.readline(); print(json.dumps({'error': 'too small'}), flush=True); time.sleep(60)",
                "too small",
            ),
            ("sys.stdin.readline(); sys.exit('out of memory')", r"ended \(out of memory\)"),
            ("sys.stdin.close(); sys.exit('no input')", r"ended \(no input\)"),
            ("sys.stdin.readline(); sys.stdout.write('x' * (20 << 20)); time.sleep(60)", "said too much"),
        ],
    )
    def test_one_that_misbehaves_is_named_and_killed(self, program: str, said: str) -> None:
        one = talker(program)
        started = time.monotonic()
        with pytest.raises(CannotRead, match=f"talker: .*{said}"):
            one.ask({}, 30)
        assert one.pid is None
        assert time.monotonic() - started < 20

    def test_one_that_hangs_is_killed_in_time(self) -> None:
        one = talker("time.sleep(60)")
        with pytest.raises(TookTooLong, match="no answer within 1 s"):
            one.ask({}, 1)
        assert one.pid is None

    def test_after_that_it_starts_anew(self, tmp_path: Path) -> None:
        fails_once = (
            f"path = {str(tmp_path / 'tried')!r}\nif not os.path.exists(path): open(path, 'w').close(); sys.exit(1)\n"
        )
        one = talker(fails_once + "for line in sys.stdin: print(line, flush=True)")
        with pytest.raises(CannotRead):
            one.ask({"a": 1}, 10)
        assert one.ask({"a": 2}, 10) == {"a": 2}
        one.close()


class TestWithoutTheEnvironment:
    @pytest.fixture(autouse=True)
    def _none(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(environment, "_OWN", tmp_path)
        monkeypatch.delenv("COUNTERMARK_PEERS", raising=False)

    def test_every_peer_says_how_it_is_installed(self) -> None:
        assert set(available_peers()) == set(PEERS)
        assert set(available_peers().values()) == {"not installed: make peers"}

    def test_asking_for_one_says_so_too(self) -> None:
        with pytest.raises(NeedsExtra, match="dwtDctSvd: not installed: make peers"):
            mark_named("dwtDctSvd")

    def test_a_wrong_environment_is_a_mistake(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("COUNTERMARK_PEERS", str(tmp_path))
        with pytest.raises(UsageError, match="no environment of Python"):
            mark_named("dwtDctSvd")

    def test_an_environment_without_the_packages_says_what_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COUNTERMARK_PEERS", sys.prefix)  # ours, which has OpenCV and no peers
        with pytest.raises(NeedsExtra, match=r"imwatermark, pywt not installed in the peers' env"):
            mark_named("dwtDct")


class TestWeightsOfOnesOwn:
    @pytest.fixture(autouse=True)
    def _ours(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COUNTERMARK_PEERS", sys.prefix)  # has torch
        for name in environment.STATE:
            monkeypatch.delenv(name, raising=False)

    def test_without_weights_they_say_so_in_one_line(self) -> None:
        for name in ("videoseal", "trustmark"):
            with pytest.raises(NeedsExtra, match=f"its weights are not here: COUNTERMARK_{name.upper()}"):
                mark_named(name)

    def test_a_wrong_place_is_named(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("COUNTERMARK_VIDEOSEAL", str(tmp_path / "none.jit"))
        monkeypatch.setenv("COUNTERMARK_TRUSTMARK", str(tmp_path))
        assert "none.jit is no file" in str(available_peers()["videoseal"])
        assert "lacks trustmark_Q.yaml, encoder_Q.ckpt, decoder_Q.ckpt" in str(available_peers()["trustmark"])

    @pytest.mark.slow
    def test_video_seal_s_interface_is_the_published_one(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A TorchScript file with the methods that its README calls, which paints the message into the first row."""
        torch = pytest.importorskip("torch")

        class Painted(torch.nn.Module):  # type: ignore[misc, name-defined]
            @torch.jit.export
            def embed(self, imgs: torch.Tensor, msgs: torch.Tensor, is_video: bool = True) -> torch.Tensor:
                assert is_video and imgs.size(0) <= 16 and msgs.size(0) == 1 and msgs.size(1) == 256  # noqa: PT018
                marked = imgs.clone()
                marked[:, :, 0, :256] = 0.25 + 0.5 * msgs
                return marked

            @torch.jit.export
            def detect(self, imgs: torch.Tensor, is_video: bool = True) -> torch.Tensor:
                return torch.cat([torch.ones(imgs.size(0), 1), imgs[:, 0, 0, :256] - 0.5], dim=1)

            def forward(self, imgs: torch.Tensor) -> torch.Tensor:
                return imgs

        torch.jit.script(Painted()).save(str(tmp_path / "painted.jit"))
        monkeypatch.setenv("COUNTERMARK_VIDEOSEAL", str(tmp_path / "painted.jit"))
        clip = scene(18)
        for name in ("videoseal", "videoseal-64"):
            mark = mark_named(name)
            message = bench_message(mark, 3, Origin.CAPTURED)
            marked = mark.embed(clip, message, KEY)
            assert np.array_equal(marked.frames[:, 1:], clip.frames[:, 1:])
            assert mark.read(marked, KEY, message, (256, 320)).bits_right == mark.bits
        conversation("videoseal").close()


class TestRealPeers:
    @pytest.mark.parametrize(
        ("name", "wrong"),  # even where nothing happens to the clip, two of them lose bits of so small a picture
        [
            ("dwtDct", 6),
            ("dwtDctSvd-64", 0),
            ("blind-watermark", 0),
            pytest.param("RivaGAN", 4, marks=pytest.mark.slow),
        ],
    )
    def test_a_message_comes_back(self, name: str, wrong: int, peers: Path) -> None:
        mark, clip = mark_named(name), scene(2)
        message = bench_message(mark, 3, Origin.CAPTURED)
        marked = mark.embed(clip, message, KEY)
        assert not np.array_equal(marked.frames, clip.frames)
        reading = mark.read(marked, KEY, message, (256, 320))
        assert reading.bits_right is not None
        assert reading.bits_right >= mark.bits - wrong
        assert (reading.message == message) == (reading.bits_right == mark.bits)
        if reading.message == message:
            assert reading.log10_p == pytest.approx((1 - mark.bits) * math.log10(2))  # all bits, half of the chance

    def test_another_key_reads_another_message(self, peers: Path) -> None:
        mark = mark_named("dwtDctSvd-64")
        marked = mark.embed(scene(2), 7, KEY)
        other = mark.read(marked, OTHER, 7, (256, 320))
        assert other.message != 7
        assert other.log10_p is not None
        assert other.log10_p > -6
        assert mark.read(marked, KEY).message == 7  # blind: nothing is expected
        assert mark.read(marked, KEY).log10_p is None

    def test_a_mirror_image_costs_its_search(self, peers: Path) -> None:
        mark = mark_named("dwtDctSvd-64")
        marked = mark.embed(scene(2), 99, KEY)
        reading = mark.read(attack_clip(marked, "flip", 0), KEY, 99, (256, 320))
        assert reading.message == 99
        assert reading.log10_p == pytest.approx(-64 * math.log10(2) + math.log10(2 * 7))

    def test_small_frames_are_no_failure_of_the_search(self, peers: Path) -> None:
        mark = mark_named("dwtDct")
        reading = mark.read(scene(2, 64, 96), KEY, 1)  # no marked size: nothing it would take
        assert (reading.message, reading.log10_p, reading.bits_right) == (None, 0.0, None)
        with pytest.raises(CannotRead, match="too small"):
            mark.embed(scene(2, 64, 96), 1, KEY)

    def test_its_process_stays_warm_and_comes_back(self, peers: Path) -> None:
        mark, clip = mark_named("dwtDct"), scene(1)
        mark.read(clip, KEY)
        pid = conversation("dwtDct").pid
        mark.read(clip, KEY)
        assert conversation("dwtDct").pid == pid
        conversation("dwtDct").close()
        mark.read(clip, KEY)
        assert conversation("dwtDct").pid not in (None, pid)

    def test_it_ends_with_the_process_that_asked(self, peers: Path) -> None:
        code = (
            "import os, signal\nfrom benchmarks.peers.environment import conversation\none = conversation('dwtDct')\n"
            "try: one._start(); one._answer(60); print(one.pid, flush=True)\n"
            "finally: os.kill(os.getpid(), signal.SIGKILL)"
        )
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False)
        pid = int(done.stdout)
        for _ in range(100):
            state = Path(f"/proc/{pid}/stat")
            if not _runs(pid) or (state.exists() and ") Z" in state.read_text()):
                return
            time.sleep(0.1)
        pytest.fail("the peer goes on without anybody")

    def test_an_unknown_peer_names_the_nearest(self, peers: Path) -> None:
        with pytest.raises(UnknownName) as caught:
            mark_named("dwtDctSdv")
        assert "dwtDctSvd" in caught.value.hint

    def test_those_that_are_installed_can_run(self, peers: Path) -> None:
        assert {name: available_peers()[name] for name in INSTALLED} == dict.fromkeys(INSTALLED)

    def test_they_have_no_network(self, peers: Path) -> None:
        code = (
            f"import sys; sys.path.insert(0, {str(ENGINES)!r}); import serve, socket\n"
            "sys.addaudithook(serve._refuse_network)\n"
            "try: socket.create_connection(('127.0.0.1', 9))\n"
            "except OSError as error: print(error)"
        )
        done = subprocess.run([str(peers), "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "peers run with the network off"


class TestAsTheirAuthorsPublishThem:
    def test_votes_decide_as_their_decoder_does(self, peers: Path) -> None:
        """dwtDct and dwtDctSvd: the signs of our soft votes are their bits, on marked and on plain frames."""
        assert (
            self._compared(
                peers,
                """
            for engine in (engines.DwtDct(), engines.DwtDctSvd()):
                marked = engine.embed(frames, bits)
                theirs = engine._make(wmLen=32)
                for one in (frames, marked):
                    votes = engine.read(one, 32)
                    said = [theirs.decode(frame[..., ::-1].copy()) for frame in one]
                    out.append(bool(((votes > 0) == np.array(said)).all()))
            """,
            )
            == [True] * 4
        )

    @pytest.mark.slow
    def test_rivagan_without_torch_is_rivagan_with_torch(self, peers: Path) -> None:
        """Its own wrapper, with the torch of this environment, gives the same frames and bits."""
        ours = site.getsitepackages()[0]
        assert self._compared(
            peers,
            f"""
            sys.path.append({ours!r})
            from imwatermark.rivaGan import RivaWatermark
            RivaWatermark.loadModel()
            engine = engines.RivaGan()
            marked = engine.embed(frames, bits)
            theirs = [RivaWatermark(bits).encode(frame[..., ::-1])[..., ::-1] for frame in frames]
            out.append(int(np.abs(marked.astype(int) - np.stack(theirs)).max()) <= 1)
            said = [RivaWatermark().decode(frame[..., ::-1]) for frame in marked]
            out.append(bool(((engine.read(marked, 32) > 0) == np.array(said)).all()))
            """,
        ) == [True, True]

    def _compared(self, peers: Path, text: str) -> list[bool]:
        start = (
            f"import json, sys\nsys.path.insert(0, {str(ENGINES)!r})\nimport engines, numpy as np\n"
            "frames = np.load(sys.argv[1]); bits = [1, 0, 0, 1] * 8; out = []\n"
        )
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder) / "clip.npy", scene(2).frames)
            program = start + textwrap.dedent(text) + "\nprint(json.dumps(out))"
            command = [str(peers), "-c", program, str(Path(folder) / "clip.npy")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout.splitlines()[-1]))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
