"""The one guarded door for media files: what is opened, how, and in which words it is refused.

The file is opened here, checked, and handed to FFmpeg as an open file object. So FFmpeg never sees a path, a
name or an address: no protocol exists for it, and every file it asks for besides (playlists, external tracks)
is refused. What the file is, is decided by its content among an allow-list of containers, never by its name.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from core.media.clip import MediaError
from core.media.limits import MIB, Limits
from core.media.riff import require_short_texts
from core.sentences import printable

CONTAINERS = ("mov", "matroska", "avi", "mpeg", "mpegts", "flv", "wav", "mp3", "flac", "ogg")
"""Names of the demuxers that may read a file; "mov" also reads mp4 and m4a, "matroska" also webm."""

PROTOCOLS = "none"
"""By which FFmpeg may open something itself: a name that no protocol has, for it gets an open file."""

READABLE = "mp4, mov, mkv, webm, avi, mpg, ts, flv, wav, mp3, flac, ogg or m4a"

_BUFFER_BYTES = 256 * 1024
_PICTURES_THAT_ARE_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenMedia:
    """An open container and the streams that count; either may be None."""

    container: InputContainer
    video: VideoStream | None
    audio: AudioStream | None
    num_bytes: int

    @property
    def streams(self) -> list[VideoStream | AudioStream]:
        """Those of the two that exist."""
        return [stream for stream in (self.video, self.audio) if stream is not None]


def told(path: Path) -> str:
    """The file's name as it may stand in a sentence: printable, on one line and not endless."""
    name = printable(path.name) or str(path)
    return name if len(name) <= 80 else f"{name[:50]}…{name[-25:]}"


@contextmanager
def open_file(path: Path, limits: Limits) -> Iterator[BinaryIO]:
    """An existing, regular, readable, non-empty file of an allowed size.

    Raises:
        MediaError: it is none of these, or reading it failed inside the `with` block.
    """
    name = told(path)
    # non-blocking: opening a named pipe would otherwise wait for a writer for ever
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not limits.allow_symlinks:
        # whether it is a link is asked in the step that opens it: after a question before, another file may
        # be put there
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            os.close(descriptor)
            raise IsADirectoryError
        # by its number: FFmpeg is told the name of a file that has one, and goes by it
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(status.st_mode):
                raise MediaError(f"{name} is not a regular file; give a media file on disk.")
            if status.st_size == 0:
                raise MediaError(f"{name} is empty (0 bytes); copy or record it again.")
            if status.st_size > limits.max_bytes:
                raise MediaError(
                    f"{name} has {status.st_size / MIB:.0f} MiB, more than the allowed "
                    f"{limits.max_bytes / MIB:.0f} MiB; cut or compress it."
                )
            yield file
    except FileNotFoundError:
        raise MediaError(f"{name} does not exist; check the path.") from None
    except IsADirectoryError:
        raise MediaError(f"{name} is a folder; give a media file inside it.") from None
    except PermissionError:
        raise MediaError(f"{name} may not be read by this user; change its permissions.") from None
    except (OSError, ValueError) as error:
        if not limits.allow_symlinks and getattr(error, "errno", None) == errno.ELOOP:
            raise MediaError(
                f"{name} is a symbolic link, or lies behind links in a circle; give the file that is meant."
            ) from None
        # ValueError: a path with a null byte in it
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"{name} could not be read ({reason}); check the disk, or copy the file anew."
        ) from error


@contextmanager
def open_media(path: Path, limits: Limits) -> Iterator[OpenMedia]:
    """Opens a media file and chooses its video and audio stream; nothing is decoded yet.

    Raises:
        MediaError: the file is refused, holds neither picture nor sound, or FFmpeg failed inside the `with`
            block.
    """
    name = told(path)
    with open_file(path, limits) as file:
        head = file.read(12)
        require_short_texts(file, name, limits)
        file.seek(0)
        num_bytes = os.fstat(file.fileno()).st_size
        try:
            with _open_container(file, limits) as container:
                if len(container.streams) > limits.max_streams:
                    raise MediaError(
                        f"{name} has {len(container.streams)} streams, more than the allowed "
                        f"{limits.max_streams}; keep one picture and one sound."
                    )
                video = _choose([s for s in container.streams.video if not _is_cover(s)])
                audio = _choose(list(container.streams.audio))
                if video is None and audio is None:
                    raise MediaError(
                        f"{name} holds neither video nor sound; give a clip that has one of them."
                    )
                _check_streams(name, video, audio, limits)
                yield OpenMedia(container=container, video=video, audio=audio, num_bytes=num_bytes)
        except (av.FFmpegError, ArithmeticError, AssertionError, RuntimeError, UnicodeError) as error:
            raise MediaError(_refusal(name, head, error)) from error


def _open_container(file: BinaryIO, limits: Limits) -> InputContainer:
    return av.open(
        file,
        mode="r",
        options={
            "format_whitelist": ",".join(CONTAINERS),
            "protocol_whitelist": PROTOCOLS,
            # some decoders read a whole picture to tell what a stream holds
            "max_pixels": str(limits.max_pixels),
        },
        metadata_errors="replace",
        buffer_size=_BUFFER_BYTES,
        io_open=_refuse_other_files,
    )


def _refuse_other_files(url: str, flags: int, options: dict) -> None:
    raise MediaError("A clip may not lead to other files; export it anew, with all of it in one file.")


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & _PICTURES_THAT_ARE_NO_VIDEO)


def _choose(streams: list) -> VideoStream | AudioStream | None:
    """The stream a player would show: one marked as default, else the first; never one without a decoder."""
    streams = [stream for stream in streams if stream.codec_context is not None]
    return next((s for s in streams if s.disposition & Disposition.default), streams[0] if streams else None)


def _check_streams(name: str, video: VideoStream | None, audio: AudioStream | None, limits: Limits) -> None:
    if video is not None:
        width, height = video.codec_context.width, video.codec_context.height
        if width * height > limits.max_pixels:
            raise MediaError(
                f"{name} has pictures of {width} × {height} pixels, more than the allowed "
                f"{limits.max_pixels:,} pixels; scale it down."
            )
        # a picture that grows in mid-stream is refused by the decoder
        video.codec_context.options = {"max_pixels": str(limits.max_pixels)}
    if audio is not None:
        if audio.codec_context.channels > limits.max_channels:
            raise MediaError(
                f"{name} has {audio.codec_context.channels} sound channels, more than the allowed "
                f"{limits.max_channels}; mix it down."
            )
        if (audio.codec_context.sample_rate or 0) > limits.max_sample_rate:
            raise MediaError(
                f"{name} has a sample rate of {audio.codec_context.sample_rate} Hz, more than the allowed "
                f"{limits.max_sample_rate} Hz; resample it."
            )


def _refusal(name: str, head: bytes, error: Exception) -> str:
    if head[4:8] in (b"ftyp", b"moov", b"mdat") or head[:4] in (b"\x1aE\xdf\xa3", b"RIFF", b"OggS", b"fLaC"):
        return (
            f"{name} is damaged or cut off, so that its streams cannot be found; "
            "copy or record it again, or repair it with a converter."
        )
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return (
            f"{name} holds no video or sound that can be read, whatever its name says; choose another file "
            f"({READABLE})."
        )
    reason = getattr(error, "strerror", None) or type(error).__name__
    return f"{name} could not be read ({reason}); export it anew, as {READABLE}."
