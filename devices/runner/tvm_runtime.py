"""TVM through ctypes and the C interface of tvm-ffi."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

from .failed import Failed
from .median import middle
from .tensors import content

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .profiling import Kernels
    from .runtimes import Output


class FfiAny(ctypes.Structure):
    """TVMFFIAny: a tagged value of 16 bytes."""

    _fields_ = [("type_index", ctypes.c_int32), ("padding", ctypes.c_uint32), ("value", ctypes.c_uint64)]


class ByteArray(ctypes.Structure):
    """TVMFFIByteArray: a name."""

    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class DLTensor(ctypes.Structure):
    """DLPack's tensor without an owner."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("type_code", ctypes.c_uint8),
        ("type_bits", ctypes.c_uint8),
        ("type_lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class ErrorCell(ctypes.Structure):
    """The head of tvm-ffi's error object, after the object's header."""

    _fields_ = [("kind", ByteArray), ("message", ByteArray)]


FFI_INT, FFI_BOOL, FFI_DLTENSOR, FFI_RAW_STRING, FFI_SMALL_STRING, FFI_STRING, FFI_FUNCTION = 1, 2, 7, 8, 11, 65, 68
SAFE_CALL = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(FfiAny), ctypes.c_int32, ctypes.POINTER(FfiAny)
)
FFI_FIRST_OBJECT = 64
OBJECT_HEADER_BYTES = 24
CPU = 1
ALIGNMENT_BYTES = 64
POOLED_ALLOCATOR = 2
DLPACK_CODES = {"int": 0, "uint": 1, "float": 2, "bfloat": 4, "bool": 6}
DLPACK_NAMES = {code: name for name, code in DLPACK_CODES.items()}


class TvmRuntime:
    """TVM's thin runtime, driven through the C ABI of tvm-ffi."""

    def __init__(self, folder: str) -> None:
        mode = ctypes.RTLD_GLOBAL
        self.ffi = ctypes.CDLL(os.path.join(folder, "libtvm_ffi.so"), mode=mode)
        ctypes.CDLL(os.path.join(folder, "libtvm_runtime.so"), mode=mode)

    def load(self, path: str, job: dict[str, Any]) -> None:
        """Make a Relax virtual machine of one compiled model, and set its inputs."""
        os.environ["TVM_NUM_THREADS"] = str(job["threads"])
        load_file = ctypes.c_void_p()
        self.check(self.ffi.TVMFFIFunctionGetGlobal(byte_array("ffi.ModuleLoadFromFile"), ctypes.byref(load_file)))
        self.get_function = ctypes.c_void_p()
        self.check(
            self.ffi.TVMFFIFunctionGetGlobal(byte_array("ffi.ModuleGetFunction"), ctypes.byref(self.get_function))
        )
        executable = self.invoke(load_file, path)
        self.machine = self.invoke(self.method(executable, "vm_load_executable"))
        self.invoke(self.method(self.machine, "vm_initialization"), CPU, 0, POOLED_ALLOCATOR)
        self.bind(job)
        self.arguments, self.texts = self.arguments_of(["main"])
        self.stateful = self.method(self.machine, "invoke_stateful")
        self.output_names = [spec["name"] for spec in job["outputs"]]

    def bind(self, job: dict[str, Any]) -> None:
        """Set the inputs to their data."""
        self.keep = [dl_tensor(spec) for spec in job["inputs"]]
        tensors = [tensor for tensor, _ in self.keep]
        set_input = self.method(self.machine, "set_input")
        self.invoke(set_input, "main", *tensors)
        self.release(set_input.value)

    def call(self) -> None:
        """Run the model once."""
        result = FfiAny()
        if self.ffi.TVMFFIFunctionCall(self.stateful, self.arguments, 1, ctypes.byref(result)):
            self.check(1)

    def profile(self, path: str, job: dict[str, Any], warm: int, calls: int, clock: Callable[[], int]) -> Kernels:
        """Return what each kernel cost in some calls, by `clock`, through the virtual machine's hook around calls."""
        hook = CallHook(clock)
        function = ctypes.c_void_p()
        self.check(self.ffi.TVMFFIFunctionCreate(None, hook.entry, None, ctypes.byref(function)))
        self.invoke(self.method(self.machine, "set_instrument"), FfiAny(FFI_FUNCTION, 0, function.value))
        for _ in range(warm):
            self.call()
        hook.costs.clear()
        for _ in range(calls):
            self.call()
        # The cheapest of the machine's own functions does next to nothing: what it costs is the hook.
        own = min((middle(costs) for name, costs in hook.costs.items() if name.startswith("vm.")), default=0)
        return [(name, "", [max(0, round(cost - own)) for cost in costs]) for name, costs in hook.costs.items()]

    def outputs(self) -> list[Output]:
        """Return (name, type, shape, bytes) of every output of the last call."""
        get_output = self.method(self.machine, "get_output")
        get_arity = self.method(self.machine, "get_output_arity")
        arity = self.invoke(get_arity, "main").value
        is_tuple = arity < 1 << 63  # as a signed number it is -1 for a lone tensor
        found = []
        for index, name in enumerate(self.output_names):
            where = ["main", index] if is_tuple else ["main"]
            tensor = self.invoke(get_output, *where)
            found.append((name,) + tensor_content(tensor.value + OBJECT_HEADER_BYTES))
            self.release(tensor.value)
        self.release(get_output.value)
        self.release(get_arity.value)
        return found

    def release(self, address: int | None) -> None:
        """Give up an object that a call returned."""
        self.check(self.ffi.TVMFFIObjectDecRef(ctypes.c_void_p(address)))

    def method(self, module: FfiAny, name: str) -> ctypes.c_void_p:
        """Return a module's function."""
        function = self.invoke(self.get_function, module, name, False)
        if function.type_index < FFI_FIRST_OBJECT:
            raise Failed("load failed", "the compiled file has no function %r" % name)
        return ctypes.c_void_p(function.value)

    def invoke(self, function: ctypes.c_void_p, *arguments: Any) -> FfiAny:
        """Call a function of tvm-ffi with strings, integers, booleans, tensors and objects."""
        result = FfiAny()
        packed, _texts = self.arguments_of(arguments)
        self.check(self.ffi.TVMFFIFunctionCall(function, packed, len(arguments), ctypes.byref(result)))
        return result

    def arguments_of(self, values: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Return the array of tagged values, and the texts that it points to and that must outlive it."""
        packed = (FfiAny * max(1, len(values)))()
        texts = []
        for slot, value in zip(packed, values):
            if isinstance(value, str):
                text = ctypes.create_string_buffer(value.encode())
                texts.append(text)
                slot.type_index, slot.value = FFI_RAW_STRING, ctypes.addressof(text)
            elif isinstance(value, bool):
                slot.type_index, slot.value = FFI_BOOL, int(value)
            elif isinstance(value, int):
                slot.type_index, slot.value = FFI_INT, value
            elif isinstance(value, DLTensor):
                slot.type_index, slot.value = FFI_DLTENSOR, ctypes.addressof(value)
            else:
                slot.type_index, slot.value = value.type_index, value.value
        return packed, texts

    def check(self, status: int) -> None:
        """Raise what tvm-ffi reports."""
        if status == 0:
            return
        error = ctypes.c_void_p()
        self.ffi.TVMFFIErrorMoveFromRaised(ctypes.byref(error))
        if not error.value:
            raise Failed("load failed", "TVM's runtime failed without a message")
        cell = ErrorCell.from_address(error.value + OBJECT_HEADER_BYTES)
        raise Failed("load failed", ctypes.string_at(cell.message.data, cell.message.size).decode(errors="replace"))


class CallHook:
    """Hears of each function before and after Relax's virtual machine calls it; keeps what the calls cost by name.

    A function that calls others is told without what they cost.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.costs: dict[str, list[int]] = {}
        self.open: list[list[Any]] = []  # name, start, what is within
        self.entry = SAFE_CALL(self.hear)

    def hear(self, _self: int, arguments: Any, count: int, result: Any) -> int:
        """Take (function, name, whether before, its result, its arguments...); return 0: the call goes on."""
        now = self.clock()
        if arguments[2].value & 1:
            self.open.append([text_of(arguments[1]), 0, 0])
        else:
            name, start, within = self.open.pop()
            self.costs.setdefault(name, []).append(max(0, now - start - within))
            if self.open:
                self.open[-1][2] += now - start
        result[0].type_index, result[0].value = FFI_INT, 0
        if self.open and not self.open[-1][1]:
            self.open[-1][1] = self.clock()
        return 0


def text_of(value: FfiAny) -> str:
    """Return a string that tvm-ffi passes in one of its three forms."""
    if value.type_index == FFI_RAW_STRING:
        return ctypes.string_at(value.value).decode(errors="replace")
    if value.type_index == FFI_SMALL_STRING:
        inline: bytes = value.value.to_bytes(8, "little")[: value.padding]
        return inline.decode(errors="replace")
    if value.type_index == FFI_STRING:
        found = ByteArray.from_address(value.value + OBJECT_HEADER_BYTES)
        return ctypes.string_at(found.data, found.size).decode(errors="replace")
    return "?"


def byte_array(text: str) -> Any:
    """Return a reference to a TVMFFIByteArray."""
    return ctypes.byref(ByteArray(text.encode(), len(text)))


def dl_tensor(spec: dict[str, Any]) -> tuple[DLTensor, Any]:
    """Return a tensor over an input's data, and the aligned memory that it points to."""
    data = content(spec)
    memory = ctypes.create_string_buffer(len(data) + ALIGNMENT_BYTES)
    start = ctypes.addressof(memory) + -ctypes.addressof(memory) % ALIGNMENT_BYTES
    ctypes.memmove(start, data, len(data))
    name = spec["dtype"].rstrip("0123456789")
    bits = 8 if name == "bool" else int(spec["dtype"][len(name) :])
    shape = (ctypes.c_int64 * max(1, len(spec["shape"])))(*spec["shape"])
    tensor = DLTensor(start, CPU, 0, len(spec["shape"]), DLPACK_CODES[name], bits, 1, shape, None, 0)
    return tensor, memory


def tensor_content(address: int) -> tuple[str, list[int], bytes]:
    """Return (type, shape, bytes) of the DLTensor at an address."""
    tensor = DLTensor.from_address(address)
    shape = [tensor.shape[axis] for axis in range(tensor.ndim)]
    name = DLPACK_NAMES[tensor.type_code]
    dtype = "bool" if name == "bool" else "%s%d" % (name, tensor.type_bits)
    size = tensor.type_bits // 8
    for length in shape:
        size *= length
    return dtype, shape, ctypes.string_at(tensor.data + tensor.byte_offset, size) if size else b""
