"""Videos and clips: read, write, rewrite, transform."""

from provenance.video.clip import Clip, Window
from provenance.video.container import VideoInfo
from provenance.video.read import Video

__all__ = ["Clip", "Video", "VideoInfo", "Window"]
