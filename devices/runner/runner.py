"""The one file that hwloop runs on a device. Python 3.8 or newer, standard library only.

    runner.py agent CACHE               files and facts: one JSON request a line in, one JSON reply a line out
    runner.py zygote CACHE RUNTIME DIR  imports a runtime once, then forks a fresh process for each job

Both end when their standard input ends, and take everything that they started with them.
"""

from __future__ import annotations

import base64
import ctypes
import datetime
import gc
import glob
import hashlib
import json
import math
import os
import platform
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Output = tuple[str, str, list[int], bytes]

PROTOCOL_VERSION = 1
STDERR_KEPT_BYTES = 16384
DIGEST_LENGTH = 64


class Refused(Exception):
    """A request that the runner does not accept."""


# ── Lines in, lines out ──────────────────────────────────────────────────────────────────────────────


class Lines:
    """Requests from a file descriptor, without a buffer that `select` cannot see."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.buffer = b""
        self.ended = False

    def fill(self) -> None:
        """Read what is there; note the end."""
        data = os.read(self.fd, 1 << 16)
        if not data:
            self.ended = True
        self.buffer += data

    def next(self) -> bytes | None:
        """Return the next line, or None at the end of input."""
        while b"\n" not in self.buffer:
            if self.ended:
                return None
            self.fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line


def reply(fd: int, message: dict[str, Any]) -> None:
    """Write one JSON line."""
    data = memoryview((json.dumps(message) + "\n").encode())
    while data:
        data = data[os.write(fd, data) :]


def parse(line: bytes) -> dict[str, Any]:
    """Return a request; refuse what is none."""
    request = json.loads(line.decode())
    if not isinstance(request, dict) or not isinstance(request.get("op"), str):
        raise Refused("a request is a JSON object with the key 'op'")
    return request


# ── Facts and evidence ───────────────────────────────────────────────────────────────────────────────


def read_text(path: str) -> str | None:
    """Return a small file's text without its line end, or None where it cannot be read."""
    try:
        with open(path) as file:
            return file.read().strip("\n\0 ")
    except (OSError, UnicodeDecodeError):
        return None


def cpuinfo() -> tuple[str, str, list[str]]:
    """Return model, part and flags of the first processor in /proc/cpuinfo."""
    fields: dict[str, str] = {}
    for line in (read_text("/proc/cpuinfo") or "").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    model = read_text("/sys/firmware/devicetree/base/model") or fields.get("model name") or fields.get("Model")
    flags = fields.get("flags") or fields.get("Features") or ""
    return model or "", fields.get("CPU part", ""), sorted(flags.split())


def memory_bytes(field: str) -> int | None:
    """Return a field of /proc/meminfo in bytes, or None."""
    for line in (read_text("/proc/meminfo") or "").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return None


def glibc_version() -> list[int]:
    """Return glibc's (major, minor); (0, 0) where the C library is another one."""
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (AttributeError, ValueError, OSError):
        return [0, 0]
    return [int(part) for part in version.split(".")[:2]] if name == "glibc" else [0, 0]


def facts(cache: str) -> dict[str, Any]:
    """Return what a compiler and a package resolver must know of this device."""
    model, part, features = cpuinfo()
    usable = os.statvfs(cache)
    marks = [read_text("/etc/machine-id"), read_text("/sys/firmware/devicetree/base/serial-number")]
    identity = "|".join([platform.node(), model, part] + [mark or "" for mark in marks])
    return {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "glibc": glibc_version(),
        "python": list(sys.version_info[:3]),
        "cpu_model": model,
        "cpu_part": part,
        "cpu_features": features,
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory_bytes("MemTotal") or 0,
        "disk_free_bytes": usable.f_bavail * usable.f_frsize,
        "cache_dir": cache,
        "identity": hashlib.sha256(identity.encode()).hexdigest()[:16],
    }


def throttle_bits() -> int | None:
    """Return a Raspberry Pi's throttle bits, or None on other boards."""
    text = read_text("/sys/devices/platform/soc/soc:firmware/get_throttled")
    if text is None and shutil.which("vcgencmd"):
        asked = subprocess.run(["vcgencmd", "get_throttled"], stdout=subprocess.PIPE, timeout=5, check=False)
        text = asked.stdout.decode().strip().partition("=")[2]
    try:
        return int(text, 16) if text else None
    except ValueError:
        return None


def evidence() -> dict[str, Any]:
    """Return the state of the device: clocks, temperature, throttling, load, memory."""
    policies = sorted(glob.glob("/sys/devices/system/cpu/cpufreq/policy*"))
    frequencies = [read_text(policy + "/scaling_cur_freq") for policy in policies]
    zones = [read_text(zone) for zone in glob.glob("/sys/class/thermal/thermal_zone*/temp")]
    temperatures = [int(text) / 1000 for text in zones if text and text.lstrip("-").isdigit()]
    return {
        "governor": read_text(policies[0] + "/scaling_governor") if policies else None,
        "frequencies_mhz": [int(text) / 1000 for text in frequencies if text and text.isdigit()],
        "temperature_c": max(temperatures) if temperatures else None,
        "throttled": throttle_bits(),
        "load_1min": os.getloadavg()[0],
        "memory_available_bytes": memory_bytes("MemAvailable"),
    }


# ── The cache: blobs by digest, folders assembled from them ──────────────────────────────────────────


def is_digest(text: object) -> bool:
    """Whether `text` is 64 hexadecimal digits."""
    return isinstance(text, str) and len(text) == DIGEST_LENGTH and set(text) <= set("0123456789abcdef")


def within(folder: str, name: str) -> str:
    """Return the path of `name` in `folder`; refuse a name that leads outside."""
    parts = name.split("/")
    if not name or name.startswith("/") or "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise Refused("the name %r leads outside its folder" % name)
    return os.path.join(folder, *parts)


def sha256_of(path: str) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sha.update(block)
    return sha.hexdigest()


class Cache:
    """hwloop's folder on the device; everything in it is named by the digest of its content."""

    def __init__(self, root: str) -> None:
        self.root = root
        for name in ("", "blobs", "folders", "incoming"):
            os.makedirs(os.path.join(root, name), mode=0o700, exist_ok=True)

    def blob(self, digest: str) -> str:
        """Return the path of a blob."""
        if not is_digest(digest):
            raise Refused("%r is no digest" % (digest,))
        return os.path.join(self.root, "blobs", digest)

    def folder(self, digest: str) -> str:
        """Return the path of an assembled folder."""
        if not is_digest(digest):
            raise Refused("%r is no digest" % (digest,))
        return os.path.join(self.root, "folders", digest)

    def missing(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say which of the named blobs and folders are not here."""
        return {
            "blobs": [digest for digest in request["blobs"] if not os.path.isfile(self.blob(digest))],
            "folders": [digest for digest in request["folders"] if not os.path.isdir(self.folder(digest))],
        }

    def adopt(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take files that arrived in `incoming` into the blobs, if their content is what their name says."""
        for digest, name in request["files"].items():
            arrived = within(os.path.join(self.root, "incoming"), name)
            found = sha256_of(arrived)
            if found != digest:
                os.unlink(arrived)
                raise Refused("a pushed file arrived damaged: its digest is %s, not %s" % (found, digest))
            os.replace(arrived, self.blob(digest))
        return {}

    def assemble(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make a folder of blobs (linked under their names) and of archives (unpacked), at once or not at all."""
        target = self.folder(request["folder"])
        if os.path.isdir(target):
            return {}
        building = tempfile.mkdtemp(dir=os.path.join(self.root, "incoming"))
        try:
            for name, digest in request["files"].items():
                path = within(building, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.link(self.blob(digest), path)
            for digest in request["archives"]:
                self.unpack(self.blob(digest), building)
            os.rename(building, target)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        for digest in request["archives"]:
            os.unlink(self.blob(digest))
        return {}

    @staticmethod
    def unpack(archive: str, folder: str) -> None:
        """Unpack a zip archive; refuse links and names that lead outside."""
        with zipfile.ZipFile(archive) as files:
            for member in files.infolist():
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise Refused("the archive holds a link: %r" % member.filename)
                if not member.is_dir():
                    within(folder, member.filename)
                    files.extract(member, folder)


def serve_agent(root: str) -> None:
    """Answer requests about files and facts until standard input ends."""
    cache = Cache(root)
    handlers = {
        "facts": lambda request: facts(root),
        "evidence": lambda request: evidence(),
        "missing": cache.missing,
        "adopt": cache.adopt,
        "assemble": cache.assemble,
    }
    requests = Lines(0)
    for line in iter(requests.next, None):
        try:
            request = parse(line)
            if request["op"] not in handlers:
                raise Refused("unknown request %r" % request["op"])
            answer = {"ok": handlers[request["op"]](request)}
        except OSError as error:
            answer = {"error": {"kind": "disk full" if error.errno == 28 else "os", "message": str(error)}}
        except (Refused, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            answer = {"error": {"kind": "refused", "message": "%s: %s" % (type(error).__name__, error)}}
        reply(1, answer)


# ── Runtimes ─────────────────────────────────────────────────────────────────────────────────────────


class Failed(Exception):
    """The candidate failed; `kind` is one of hwloop's failure kinds."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class OnnxRuntime:
    """onnxruntime's Python package, unpacked into a folder."""

    def __init__(self, folder: str) -> None:
        sys.path.insert(0, folder)
        # Since 1.29 onnxruntime reports models to its makers unless told not to; its thread disturbs timings too.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import numpy
        import onnxruntime

        self.numpy = numpy
        self.ort = onnxruntime

    def load(self, path: str, job: dict[str, Any]) -> None:
        """Make a session of one model; its inputs are bound once."""
        options = self.ort.SessionOptions()
        options.intra_op_num_threads = job["threads"]
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        for name, size in (job["options"].get("dims") or {}).items():
            options.add_free_dimension_override_by_name(name, size)
        try:
            self.session = self.ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.bind(job)
        except MemoryError as error:
            raise Failed("out of memory", str(error))
        except Exception as error:  # onnxruntime's exceptions have no common base but this one
            kind = "unsupported operator" if "NOT_IMPLEMENTED" in str(error) else "load failed"
            raise Failed(kind, str(error))

    def bind(self, job: dict[str, Any]) -> None:
        """Bind inputs to their data, and outputs to this runtime's memory."""
        self.names = [output.name for output in self.session.get_outputs()]
        self.binding = self.session.io_binding()
        self.inputs = []
        for spec in job["inputs"]:
            with open(spec["path"], "rb") as file:
                data = self.numpy.frombuffer(file.read(), dtype=storage_type(spec["dtype"]))
            shaped = data.reshape(spec["shape"])
            make = self.ort.OrtValue.ortvalue_from_numpy
            if spec["dtype"] == "bfloat16":
                make = lambda value: self.ort.OrtValue.ortvalue_from_numpy_with_onnx_type(value, 16)  # noqa: E731
            self.inputs.append(make(shaped))
            self.binding.bind_ortvalue_input(spec["name"], self.inputs[-1])
        for name in self.names:
            self.binding.bind_output(name)

    def call(self) -> None:
        """Run the model once."""
        self.session.run_with_iobinding(self.binding)

    def outputs(self) -> list[Output]:
        """Return (name, type, shape, bytes) of every output of the last call."""
        values = [self.numpy.ascontiguousarray(value.numpy()) for value in self.binding.get_outputs()]
        return [(name, str(value.dtype), list(value.shape), value.tobytes()) for name, value in zip(self.names, values)]


def storage_type(dtype: str) -> str:
    """Return the numpy type that holds the bytes of `dtype`."""
    return "uint16" if dtype == "bfloat16" else dtype


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


FFI_INT, FFI_BOOL, FFI_DLTENSOR, FFI_RAW_STRING = 1, 2, 7, 8
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
        """Make a Relax virtual machine of one compiled model; its inputs are set once."""
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
        self.keep = [dl_tensor(spec) for spec in job["inputs"]]
        tensors = [tensor for tensor, _ in self.keep]
        self.invoke(self.method(self.machine, "set_input"), "main", *tensors)
        self.arguments, self.texts = self.arguments_of(["main"])
        self.stateful = self.method(self.machine, "invoke_stateful")
        self.output_names = [spec["name"] for spec in job["outputs"]]

    def call(self) -> None:
        """Run the model once."""
        result = FfiAny()
        if self.ffi.TVMFFIFunctionCall(self.stateful, self.arguments, 1, ctypes.byref(result)):
            self.check(1)

    def outputs(self) -> list[Output]:
        """Return (name, type, shape, bytes) of every output of the last call."""
        get_output = self.method(self.machine, "get_output")
        arity = self.invoke(self.method(self.machine, "get_output_arity"), "main").value
        is_tuple = arity < 1 << 63  # as a signed number it is -1 for a lone tensor
        found = []
        for index, name in enumerate(self.output_names):
            where = ["main", index] if is_tuple else ["main"]
            tensor = self.invoke(get_output, *where)
            found.append((name,) + tensor_content(tensor.value + OBJECT_HEADER_BYTES))
        return found

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


def byte_array(text: str) -> Any:
    """Return a reference to a TVMFFIByteArray."""
    return ctypes.byref(ByteArray(text.encode(), len(text)))


def dl_tensor(spec: dict[str, Any]) -> tuple[DLTensor, Any]:
    """Return a tensor over an input's data, and the aligned memory that it points to."""
    with open(spec["path"], "rb") as file:
        data = file.read()
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


if TYPE_CHECKING:
    Runtime = OnnxRuntime | TvmRuntime

RUNTIMES: dict[str, Callable[[str], Runtime]] = {"onnxruntime": OnnxRuntime, "tvm": TvmRuntime}


# ── One job in one fresh process ─────────────────────────────────────────────────────────────────────


def fastest_cpus(count: int) -> list[int]:
    """Return the `count` usable CPUs with the highest clock; of equals the last, which serve fewer interrupts."""
    usable = sorted(os.sched_getaffinity(0))

    def clock(cpu: int) -> int:
        text = read_text("/sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq" % cpu)
        return int(text) if text and text.isdigit() else 0

    return sorted(usable, key=lambda cpu: (clock(cpu), cpu))[-count:]


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def warm_up(call: Callable[[], None], seconds: float) -> tuple[list[int], bool]:
    """Call until two windows of calls agree within 5 %, or `seconds` passed; return the times and whether steady."""
    window, times = 5, []
    end = time.perf_counter() + seconds
    while True:
        times.append(timed(call))
        steady = len(times) >= 2 * window and close(middle(times[-window:]), middle(times[-2 * window : -window]))
        if steady:
            return times, True
        if time.perf_counter() >= end and len(times) >= 2:
            return times, close(times[-1], times[-2])


def close(one: float, other: float) -> bool:
    """Whether two times are within 5 % of each other."""
    return abs(one - other) <= 0.05 * max(one, other)


def timed(call: Callable[[], None]) -> int:
    """Return the nanoseconds of one call on the monotonic clock."""
    start = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - start


def narrow(samples: Sequence[int], relative_width: float) -> bool:
    """Whether the median's 95 % interval, by order statistics, is narrower than a share of the median."""
    ordered = sorted(samples)
    count = len(ordered)
    reach = 0.98 * math.sqrt(count)
    low, high = int(count / 2 - reach), int(math.ceil(count / 2 + reach))
    if low < 0 or high >= count:
        return False
    return ordered[high] - ordered[low] < relative_width * middle(ordered)


def sample(call: Callable[[], None], job: dict[str, Any]) -> list[int]:
    """Time calls until the job's stop rule holds; return every time in order."""
    samples: list[int] = []
    end = time.perf_counter() + job["seconds"]
    next_check = max(1, job["min_calls"])
    while len(samples) < job["max_calls"]:
        samples.append(timed(call))
        if time.perf_counter() >= end:
            break
        if len(samples) >= next_check:
            if narrow(samples, job["relative_width"]):
                break
            next_check = math.ceil(len(samples) * 1.25)
    return samples


MARK_NUMBER, MARK_MAGIC = 141, 0x68776C6F6F70
COUNT_WARMUP_CALLS = 2


def count_instructions(call: Callable[[], None], calls: int) -> dict[str, Any]:
    """Count the guest instructions of each call, between marks that the emulator's plugin sees."""
    libc = ctypes.CDLL(None)
    count = ctypes.c_uint64(0)
    mark = (ctypes.c_long(MARK_NUMBER), ctypes.c_ulong(MARK_MAGIC), ctypes.byref(count))
    counts = [0] * (COUNT_WARMUP_CALLS + calls)
    for index in range(len(counts)):
        libc.syscall(*mark)
        start = count.value
        call()
        libc.syscall(*mark)
        counts[index] = count.value - start
    if not all(counts):
        raise Failed("crashed", "this process does not run under the emulator's counting plugin")
    return {
        "warmup_ns": [],
        "samples_ns": [],
        "steady": True,
        "peak_rss_bytes": None,
        "instructions": counts[COUNT_WARMUP_CALLS:],
    }


def peak_rss_bytes() -> int | None:
    """Return the most memory that this process held, or None where the kernel does not say."""
    for line in (read_text("/proc/self/status") or "").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def work(runtime: Runtime, cache: Cache, job: dict[str, Any]) -> dict[str, Any]:
    """Do one job in this fresh process and return its result."""
    folder = cache.folder(job["artifact"])
    for spec in job["inputs"]:
        spec["path"] = cache.blob(spec["blob"])
    os.sched_setaffinity(0, fastest_cpus(job["threads"]))
    started = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
    counted = bool(job["counted_calls"])
    before = {} if counted else evidence()  # its text varies in length, and so the heap would
    load_start = time.perf_counter()
    runtime.load(within(folder, job["entry"]), job)
    load_ms = (time.perf_counter() - load_start) * 1000
    result = {"started_at": started, "load_ms": load_ms}
    if counted:
        result.update(count_instructions(runtime.call, job["counted_calls"]))
    else:
        warmup, steady = warm_up(runtime.call, job["warmup_seconds"])
        result.update(warmup_ns=warmup, steady=steady, samples_ns=sample(runtime.call, job), instructions=[])
        result["peak_rss_bytes"] = peak_rss_bytes()
    result["after"] = evidence()
    result["before"] = before or result["after"]
    result.update(pack(runtime.outputs(), job["known_outputs"]))
    return result


def pack(outputs: list[Output], known: list[str]) -> dict[str, Any]:
    """Return the outputs' digest, and the outputs themselves unless the host knows that digest."""
    sha = hashlib.sha256()
    for name, dtype, shape, data in outputs:
        sha.update(json.dumps([name, dtype, shape]).encode() + data)
    packed: dict[str, Any] = {"outputs_digest": sha.hexdigest(), "outputs": None}
    if packed["outputs_digest"] not in known:
        packed["outputs"] = [
            {"name": name, "dtype": dtype, "shape": shape, "data": base64.b64encode(data).decode()}
            for name, dtype, shape, data in outputs
        ]
    return packed


HOST_GONE, NO_REPLY = 10, 11


def in_child(runtime: Runtime, cache: Cache, stderr_fd: int) -> NoReturn:
    """Read one job, do it, reply to the host, and leave without the parent's clean-up."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: do not outlive the zygote
    line = Lines(0).next()
    if line is None:
        os._exit(HOST_GONE)
    host = os.dup(1)
    os.dup2(stderr_fd, 2)
    os.dup2(stderr_fd, 1)
    try:
        job = parse(line)
        # SIGALRM ends even a process that hangs in native code.
        signal.setitimer(signal.ITIMER_REAL, job["deadline_s"])
        message = {"ok": work(runtime, cache, job)}
    except Failed as error:
        message = failure(error.kind, str(error), stderr_fd)
    except MemoryError:
        message = failure("out of memory", "Python could not allocate memory", stderr_fd)
    except (Refused, KeyError, TypeError, ValueError) as error:
        message = {"error": {"kind": "refused", "message": "%s: %s" % (type(error).__name__, error)}}
    except Exception as error:  # whatever it is, the host must hear of it
        message = failure("crashed", "%s: %s" % (type(error).__name__, error), stderr_fd)
    signal.setitimer(signal.ITIMER_REAL, 0)
    reply(host, message)
    os._exit(0)


def failure(kind: str, message: str, stderr_fd: int) -> dict[str, Any]:
    """Return the message that tells the host of a candidate's failure, with the end of its standard error."""
    size = os.fstat(stderr_fd).st_size
    kept = min(size, STDERR_KEPT_BYTES)
    detail = os.pread(stderr_fd, kept, size - kept).decode(errors="replace")
    return {"failure": {"kind": kind, "message": message, "detail": detail}}


def in_fresh_process(task: Callable[[], object]) -> int | None:
    """Fork, run `task` in the child, and return its wait status; None (and no child) when the host went away.

    The parent touches nothing but a pipe: each child starts from the same memory, so that equal jobs execute
    equal instructions.
    """
    alive_fd, child_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(alive_fd)
        task()
        os._exit(NO_REPLY)
    os.close(child_fd)
    watch = select.poll()
    watch.register(alive_fd, 0)
    watch.register(0, select.POLLRDHUP)
    ended = False
    while not ended:
        events = watch.poll()
        ended = any(fd == alive_fd for fd, _ in events)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
    os.close(alive_fd)
    return os.waitpid(pid, 0)[1]


def how_it_ended(status: int) -> tuple[str, str]:
    """Return the failure's kind and words for a process that ended without a reply."""
    if not os.WIFSIGNALED(status):
        return "crashed", "the runtime ended with status %d and left no result" % os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    if number == signal.SIGALRM:
        return "timed out", "there was no result by the deadline"
    hint = " (often: out of memory)" if number == signal.SIGKILL else ""
    return "crashed", "the runtime was ended by %s%s" % (signal.Signals(number).name, hint)


def serve_zygote(root: str, name: str, folder: str) -> None:
    """Import a runtime, then run jobs in fresh processes until standard input ends."""
    cache = Cache(root)
    runtime = RUNTIMES[name](cache.folder(folder))
    requests = select.poll()
    requests.register(0, select.POLLIN)
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection would come at another moment in each child
    with tempfile.TemporaryFile() as stderr:
        for _ in range(REHEARSALS):
            in_fresh_process(lambda: os._exit(0))
        reply(1, {"ok": {"protocol": PROTOCOL_VERSION}})
        while True:
            requests.poll()
            stderr.truncate(0)
            stderr.seek(0)
            status = in_fresh_process(lambda: in_child(runtime, cache, stderr.fileno()))
            if status is None or (os.WIFEXITED(status) and os.WEXITSTATUS(status) == HOST_GONE):
                return
            if status != 0:
                kind, words = how_it_ended(status)
                reply(1, failure(kind, words, stderr.fileno()))


REHEARSALS = 2


def main(arguments: list[str]) -> None:
    """Run as an agent or as a zygote."""
    if len(arguments) == 2 and arguments[0] == "agent":
        serve_agent(arguments[1])
    elif len(arguments) == 4 and arguments[0] == "zygote" and arguments[2] in RUNTIMES:
        serve_zygote(*arguments[1:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
