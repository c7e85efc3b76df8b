"""Talking heads: a parametric head, rendered on the CPU.

An `Identity` says who it is, a `FaceState` what the face does in a moment, and `Head.render` gives the
picture together with where the face's parts are in it.
"""

from sample_data.corpus.face.camera import Camera
from sample_data.corpus.face.head import Head
from sample_data.corpus.face.identity import Identity, sample_identity
from sample_data.corpus.face.lighting import LIGHTS
from sample_data.corpus.face.state import FaceState, Picture

__all__ = ["LIGHTS", "Camera", "FaceState", "Head", "Identity", "Picture", "sample_identity"]
