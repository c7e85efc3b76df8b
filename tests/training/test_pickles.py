"""Whatever a pickle from outside asks for, nothing of it is run."""

import codecs
import collections
import fractions
import importlib
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from training.datasets import DataError
from training.datasets.pickles import read_pickle


@pytest.fixture
def read(tmp_path):
    def read(data):
        path = tmp_path / "a.pkl"
        path.write_bytes(data)
        return read_pickle(path)

    return read


VALUES = {
    "tensor": torch.arange(6.0).reshape(2, 3),
    "transposed": torch.arange(6).reshape(2, 3).t(),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "empty": torch.zeros(0, 3),
    "one": torch.tensor(4),
    "array": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "bytes": np.zeros((15, 3, 4, 4), np.uint8),
    "big-endian": np.arange(4, dtype=">i4"),
    "truth": np.array([True, False]),
    "scalar": np.int64(3),
    "plain": {"list": [1, 2.5, None, "ü"], "tuple": (b"\x00\xff", True)},
    "ordered": collections.OrderedDict(a=1),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_the_authors_may_have_written_comes_back(read, protocol):
    found = read(pickle.dumps(VALUES, protocol=protocol))
    assert found.keys() == VALUES.keys()
    for name, expected in VALUES.items():
        if isinstance(expected, torch.Tensor):
            assert torch.equal(found[name], expected) and found[name].dtype == expected.dtype
        elif isinstance(expected, np.ndarray):
            np.testing.assert_array_equal(found[name], expected)
            assert found[name].dtype == expected.dtype.newbyteorder("=")
        else:
            assert found[name] == expected


def test_files_of_torch_save_are_read_too(read, tmp_path):
    torch.save({"a": VALUES["tensor"]}, tmp_path / "a.pt")
    assert torch.equal(read((tmp_path / "a.pt").read_bytes())["a"], VALUES["tensor"])


class Harm:
    """Pickled, it asks for `os.mkdir(path)`."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def torch_bytes(value, *, is_zip):
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=is_zip)
    return buffer.getvalue()


class Storage:
    """Pickled, it is a tensor's storage whose own bytes are another pickle."""

    def __init__(self, data):
        self.data = data

    def __reduce__(self):
        return torch.storage._load_from_bytes, (self.data,)


@pytest.mark.parametrize("wrap", ["bare", "dict", "object array", "torch", "storage"])
def test_a_program_inside_is_refused_by_name_and_not_run(read, tmp_path, wrap):
    mark = tmp_path / "harmed"
    harm = Harm(mark)
    data = {
        "bare": lambda: pickle.dumps(harm),
        "dict": lambda: pickle.dumps({"images": torch.zeros(2), "more": [harm]}),
        "object array": lambda: pickle.dumps(np.array([harm], dtype=object)),
        "torch": lambda: torch_bytes({"a": harm}, is_zip=True),
        "storage": lambda: pickle.dumps(Storage(torch_bytes(harm, is_zip=False))),
    }[wrap]()
    with pytest.raises(DataError) as caught:
        read(data)
    assert not mark.exists()
    named = "an array of the type 'O8'" if wrap == "object array" else f"{os.mkdir.__module__}.mkdir"
    assert f"asks for {named}" in str(caught.value) and str(tmp_path / "a.pkl") in str(caught.value)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (print, "builtins.print"),
        (getattr, "builtins.getattr"),
        (fractions.Fraction(1, 3), "fractions.Fraction"),
        (torch.nn.Linear, "torch.nn.modules.linear.Linear"),
        (np.zeros(2, dtype="i4,f4"), "an array of the type 'V8'"),
        (np.array(["a"]), "an array of the type 'U1'"),
        (torch.float32, "torch.float32"),
    ],
)
def test_other_things_are_refused_by_name(read, value, named):
    with pytest.raises(DataError, match="neither a tensor, an array nor a plain container") as caught:
        read(pickle.dumps(value))
    assert f"asks for {named}" in str(caught.value)


def global_(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


@pytest.mark.parametrize(
    "program",
    [
        # sets an attribute of an admitted function: (None, {"x": 1}) built onto it
        global_("collections", "OrderedDict") + b"(N}\x8c\x01xK\x01stb.",
        # puts another admitted function in its place, and calls it
        global_("collections", "OrderedDict")
        + b"(N}\x8c\x09_function"
        + global_("_codecs", "encode")
        + b"stb(\x8c\x02ab\x8c\x06latin1tR.",
        # the same by its dictionary
        global_("torch._utils", "_rebuild_tensor_v2") + b"}\x8c\x01xK\x01sb.",
        # makes an object of an admitted class that is only ever named
        global_("numpy", "ndarray") + b"(K\x01tR.",
        global_("numpy", "ndarray") + b")\x81.",
        # an object kept outside of the file, and one of copyreg's numbered extensions
        b"Pname\n.",
        b"\x82\x01.",
        # remembers one value in place two billion, and holds ten million bytes that are not there
        b"N" + b"r" + (2**31).to_bytes(4, "little") + b".",
        b"\x80\x05\x96" + (10**7).to_bytes(8, "little") + b"abc.",
        # a way around by a dotted name
        b"\x80\x04\x8c\x05torch\x8c\x11storage.os.system\x93.",
    ],
)
def test_programs_that_bend_the_admitted_names_are_refused(read, program):
    with pytest.raises(DataError):
        read(program)
    # and the next pickle is read as ever
    assert read(pickle.dumps(collections.OrderedDict(a=1))) == {"a": 1}


def inner_file(name):
    """A pickle's program that has torch read a file, which hands out one of torch's own names as it is."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}]
    file = b"".join(pickle.dumps(part, 2) for part in head)
    file += b"\x80\x02" + global_(*name.rsplit(".", 1)) + b"." + pickle.dumps([], 2)
    load = global_("torch.storage", "_load_from_bytes")
    return load + b"B" + len(file).to_bytes(4, "little") + file + b"\x85R"


@pytest.mark.parametrize("name", ["collections.Counter", "torch._utils._rebuild_tensor_v2"])
def test_what_torch_admits_is_not_handed_out(read, name):
    module, attribute = name.rsplit(".", 1)
    thing = getattr(importlib.import_module(module), attribute)
    # sets an attribute of it, which all of this process would see
    with pytest.raises(DataError, match="in place of a storage"):
        read(b"\x80\x03" + inner_file(name) + b"N}\x8c\x06harmedK\x01s\x86b.")
    assert not hasattr(thing, "harmed")


def test_functions_of_torch_and_of_codecs_are_not_called(read):
    # the codec "rot13", which is none that pickles of bytes name: it would answer "no"
    program = inner_file("_codecs.encode") + b"\x8c\x02ab\x8c\x05rot13\x86R."
    with pytest.raises(DataError, match="in place of a storage"):
        read(b"\x80\x04" + program)
    # a state built onto a tensor, which torch would take: another shape over the same storage
    tensor = pickle.dumps(torch.zeros(4), 2).removesuffix(b".")
    with pytest.raises(DataError):
        read(tensor + b"(\x89N}tb.")


class Rebuilt:
    """Pickled, it is a call of a function that makes tensors."""

    def __init__(self, *arguments):
        self.arguments = arguments

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, self.arguments


class Encoded:
    """Pickled, it is the bytes of a text, which other pickled ones share."""

    def __init__(self, text):
        self.text = text

    def __reduce__(self):
        return codecs.encode, (self.text, "latin1")


def doubled(value, times):
    """Holds itself that many times twice."""
    for _ in range(times):
        value = (value, value)
    return value


def packed(data):
    """The same zip file with its parts packed."""
    source, whole = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as out:
        for part in source.infolist():
            out.writestr(part.filename, source.read(part))
    return whole.getvalue()


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_a_small_pickle_cannot_ask_for_much_memory_or_time(read, monkeypatch):
    monkeypatch.setattr("training.datasets.pickles.MAX_BYTES", 100_000)
    storage, order, text = torch.zeros(4).storage(), collections.OrderedDict(), "x" * 50_000
    hungry = {
        "a number shown many times": pickle.dumps(Rebuilt(storage, 0, (9, 9), (0, 0), False, order)),
        "the same in torch's own file": torch_bytes({"a": torch.zeros(1).expand(99)}, is_zip=True),
        "a packed file": packed(torch_bytes({"a": torch.zeros(40_000)}, is_zip=True)),
        "a text made bytes again and again": pickle.dumps([Encoded(text) for _ in range(9)]),
        # a dictionary's key: hashing it goes through each of its 2^60 parts
        "a key in doubled tuples": b"\x80\x02}" + pickle.dumps(doubled((), 60), 2)[2:-1] + b"K\x01s.",
    }
    for what, data in hungry.items():
        assert len(data) < 100_000, what
        with pytest.raises(DataError, match="is not a pickle of tensors, arrays and plain containers"):
            read(data)
    # lists and tuples that hold each other twice are gone through once
    held = read(pickle.dumps([doubled([], 15), doubled([1], 3)]))
    assert held[0][0] is held[0][1] and held[1] == doubled([1], 3)


def remembering(place):
    """None, remembered in a place: whoever makes room for all places before it needs memory for them."""
    return b"N" + b"r" + place.to_bytes(4, "little") + b"."


def test_a_place_to_remember_in_is_one_that_the_file_can_fill(read):
    assert read(remembering(5)) is None
    # small enough to be given the room
    with pytest.raises(DataError, match="is not a pickle"):
        read(remembering(100_000))


def test_large_files_are_not_read(read, monkeypatch):
    data = pickle.dumps(np.zeros(400_000))
    assert len(read(data)) == 400_000
    monkeypatch.setattr("training.datasets.pickles.MAX_BYTES", 3 * 1024**2)
    with pytest.raises(DataError, match=r"a\.pkl is larger than 3 MiB, so it is not read"):
        read(data)


def reading_past_the_end(size):
    """A tensor of `size` over a storage of four numbers."""
    function, (_, *arguments) = torch.zeros(4).__reduce_ex__(2)[0], torch.zeros(4).__reduce_ex__(2)[1]
    arguments = (torch.zeros(4).storage(), 2, size, (1,), False, collections.OrderedDict())

    class Forged:
        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, arguments

    assert function is torch._utils._rebuild_tensor_v2
    return pickle.dumps(Forged())


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_a_tensor_cannot_reach_beyond_its_storage(read):
    assert read(reading_past_the_end((2,))).tolist() == [0, 0]
    with pytest.raises(DataError, match="is not a pickle of tensors"):
        read(reading_past_the_end((3,)))


@pytest.mark.parametrize("cut", [0, 1, 20, 200, -1])
def test_damaged_files_are_one_sentence(read, cut):
    data = pickle.dumps(VALUES)[:cut]
    with pytest.raises(DataError, match="download it again"):
        read(data)
    with pytest.raises(DataError, match="download it again"):
        read(b"\x00\xff no pickle at all")


def test_a_pickle_that_holds_itself_ends(read):
    endless = []
    endless.append(endless)
    with pytest.raises(DataError):
        read(pickle.dumps(endless))


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_pickle(tmp_path / "none.pkl")
