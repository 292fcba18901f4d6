"""What was measured is kept by content, checked when it is asked for, and dropped oldest first."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from hwloop.artifacts import ArtifactArchive
from hwloop.digests import digest_file
from hwloop.errors import UsageError
from hwloop.records import Artifact, Target, TensorSpec


def made(folder, content=b"weights", target=None):
    folder.mkdir(exist_ok=True)
    file = folder / f"{content.decode()}.bin"
    file.write_bytes(content)
    spec = TensorSpec("x", "float32", (1, 3))
    files = {"deep/model.bin": file}
    digests = {"deep/model.bin": digest_file(file)}
    return Artifact("onnxruntime", "1.2", "0" * 64, files, digests, "deep/model.bin", (spec,), (spec,), target, {})


def keep(archive, artifact, folder):
    source = folder / ("f" * 64)
    source.write_bytes(b"input")
    archive.keep(artifact, {"x": source}, "a" * 64)


@pytest.mark.parametrize("target", [None, Target("aarch64-linux-gnu", "cortex-a72", ("+neon",), 4, (2, 30))])
def test_an_artifact_comes_back_as_it_was(tmp_path, target):
    archive, artifact = ArtifactArchive(tmp_path / "kept"), made(tmp_path / "source", target=target)
    keep(archive, artifact, tmp_path)
    found = archive.artifact(artifact.digest)
    assert found.manifest == artifact.manifest
    assert found.digest == artifact.digest
    path, digest = archive.inputs("a" * 64)["x"]
    assert (path.read_bytes(), digest) == (b"input", "f" * 64)


def test_right_outputs_come_back_as_they_were(tmp_path):
    archive, spec = ArtifactArchive(tmp_path / "kept"), TensorSpec("y", "float32", (2,))
    (tmp_path / "outputs").write_bytes(b"12345678")
    archive.keep_reference("m" * 64, "i" * 64, {spec: tmp_path / "outputs"}, {"head": "fp32"})
    assert archive.quantization("m" * 64, "i" * 64) == {"head": "fp32"}
    ((found, path),) = archive.reference("m" * 64, "i" * 64).items()
    assert (found, path.read_bytes()) == (spec, b"12345678")
    with pytest.raises(UsageError, match="not kept any more"):
        archive.reference("m" * 64, "other")


def test_what_is_not_kept_is_told(tmp_path):
    with pytest.raises(UsageError, match="not kept any more"):
        ArtifactArchive(tmp_path).artifact("0" * 64)


def test_a_damaged_file_is_told(tmp_path):
    archive, artifact = ArtifactArchive(tmp_path / "kept"), made(tmp_path / "source")
    keep(archive, artifact, tmp_path)
    (tmp_path / "kept" / artifact.digest / "deep/model.bin").write_bytes(b"other")
    with pytest.raises(UsageError, match="damaged"):
        archive.artifact(artifact.digest)


def test_beyond_the_limit_the_oldest_go(tmp_path):
    archive = ArtifactArchive(tmp_path / "kept", limit_bytes=3000)
    old, new = made(tmp_path / "source", b"old"), made(tmp_path / "source", b"new")
    keep(archive, old, tmp_path)
    (tmp_path / "kept" / old.digest / "ballast").write_bytes(bytes(2500))
    os.utime(tmp_path / "kept" / old.digest, (1, 1))
    keep(archive, new, tmp_path)
    assert archive.artifact(new.digest).digest == new.digest
    with pytest.raises(UsageError):
        archive.artifact(old.digest)


def test_many_may_keep_and_drop_at_the_same_time(tmp_path):
    artifacts = [made(tmp_path / f"source{number}", b"%d" % (number % 12)) for number in range(60)]

    def work(artifact):
        keep(ArtifactArchive(tmp_path / "kept", limit_bytes=2000), artifact, tmp_path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, artifacts))
    left = [path.name for path in (tmp_path / "kept").iterdir()]
    assert left and not any(name.startswith(".arriving") for name in left)
