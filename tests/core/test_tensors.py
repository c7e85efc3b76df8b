"""Files of tensors from anyone are read when their header is one that can be."""

import pytest
import torch
from safetensors.torch import save_file

from core.tensors import open_tensors, read_tensors


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.int32, torch.bool])
def test_tensors_come_back(tmp_path, kind):
    made = {"a": torch.arange(3).to(kind), "b": torch.zeros(0, dtype=kind)}
    save_file(made, tmp_path / "a.safetensors", {"told": "x"})
    for framework in ("pt", "np"):
        found = read_tensors(tmp_path / "a.safetensors", framework)
        assert {name: value.tolist() for name, value in found.items()} == {
            name: value.tolist() for name, value in made.items()
        }
        with open_tensors(tmp_path / "a.safetensors", framework) as file:
            assert file.metadata() == {"told": "x"}


@pytest.mark.parametrize(
    ("kind", "framework"),
    [(torch.bfloat16, "np"), (torch.float8_e4m3fn, "np"), (torch.float8_e4m3fn, "pt")],
)
def test_numbers_that_are_not_known_are_told(tmp_path, kind, framework):
    save_file({"a": torch.zeros(3).to(kind)}, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="it holds numbers of the kind .*, which is not read"):
        read_tensors(tmp_path / "a.safetensors", framework)


def test_a_header_may_be_as_long_as_is_allowed(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    with open_tensors(path, "np", max_header_bytes=length) as file:
        assert file.get_tensor("a").tolist() == [0, 0, 0]
    refusal = f"its header is told to have {length} bytes, more than the allowed {length - 1}"
    with pytest.raises(ValueError, match=refusal), open_tensors(path, "np", max_header_bytes=length - 1):
        pass
