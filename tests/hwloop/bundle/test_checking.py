"""Bundles of others: opened only if they are whole, of a known form, and signed by the key that was asked for."""

import json
import shutil

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hwloop.bundle.archive import write_bundle
from hwloop.bundle.building import make_bundle
from hwloop.bundle.checking import opened
from hwloop.errors import UsageError
from hwloop.testing.sshd import make_key


def refusal(path, key=None):
    with pytest.raises(UsageError) as caught, opened(path, key):
        pass
    return str(caught.value)


@pytest.mark.parametrize("name", ["b.zip", "b.tar.gz", "b"])
def test_a_whole_bundle_opens_in_every_form(original, tmp_path, name):
    write_bundle(original, tmp_path / name)
    with opened(tmp_path / name) as found:
        assert found.manifest == json.loads((original / "manifest.json").read_text())
        assert (found.folder / "verify.py").is_file()
        assert not found.signed


@pytest.mark.parametrize("name", ["model/model.so", "verify.py", "README.md", "runtime/libtvm_ffi.so"])
def test_a_changed_byte_is_told_with_its_file(bundle, name):
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    assert f"{name} is damaged: its SHA-256 is" in refusal(bundle)


def test_a_missing_file_is_told(bundle):
    (bundle / "reference" / "output-0.bin").unlink()
    assert "reference/output-0.bin is missing" in refusal(bundle)
    (bundle / "manifest.json").unlink()
    assert "manifest.json cannot be read: No such file" in refusal(bundle)


@pytest.mark.parametrize("name", ["driver/json.py", "runtime/libextra.so", "model/more/model.so"])
def test_a_file_that_does_not_belong_where_code_is_loaded_from_is_told(bundle, name):
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / name).write_bytes(b"")
    assert f"{name} does not belong to this bundle" in refusal(bundle)


def test_a_file_that_is_a_link_counts_as_missing(bundle, tmp_path):
    shutil.move(bundle / "model" / "model.so", tmp_path / "model.so")
    (bundle / "model" / "model.so").symlink_to(tmp_path / "model.so")
    assert "model/model.so is missing" in refusal(bundle)


def test_a_newer_manifest_is_refused(bundle, change):
    change(bundle, lambda manifest: manifest.update(schema=2))
    assert "manifest.json has form 2, and 1 is the newest one known here" in refusal(bundle)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": "1"}', '{"schema": 1}', '{"schema": 1, "files": 7}'])
def test_a_manifest_that_is_none_is_refused(bundle, text):
    (bundle / "manifest.json").write_text(text)
    assert "manifest.json is damaged" in refusal(bundle)


def test_a_manifest_that_names_files_elsewhere_is_refused(bundle, change):
    change(bundle, lambda manifest: manifest["files"].update({"../outside": {"sha256": "", "bytes": 0}}))
    assert "'../outside' leads outside the bundle" in refusal(bundle)


def test_what_is_no_bundle_is_told(tmp_path):
    (tmp_path / "text.zip").write_text("no archive")
    assert "this is no bundle" in refusal(tmp_path / "text.zip")
    assert "no such file or folder" in refusal(tmp_path / "nothing.zip")


# ── signatures ──


@pytest.fixture(scope="module")
def signed(goods, tmp_path_factory):
    """A signed bundle, its key's public half, and another one."""
    folder = tmp_path_factory.mktemp("signed")
    key, other = make_key(folder / "release"), make_key(folder / "other")
    bundle = make_bundle(goods(), folder / "bundle.zip", key)
    return bundle.path, key.with_suffix(".pub"), other.with_suffix(".pub")


def test_a_signature_is_checked(signed):
    path, key, other = signed
    with opened(path, key) as found:
        assert found.signed_by == key
    with opened(path) as found:
        assert found.signed
        assert found.signed_by is None
    assert f"the signature is not by {other}" in refusal(path, other)


def test_the_same_key_signs_the_same_bundle_with_the_same_bytes(goods, signed, tmp_path):
    path, key, _ = signed
    again = make_bundle(goods(), tmp_path / "again.zip", key.with_suffix(""))
    assert again.path.read_bytes() == path.read_bytes()


def test_a_key_in_pem_form_serves_as_well(goods, tmp_path):
    key = Ed25519PrivateKey.generate()
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (tmp_path / "key").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    public = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pub").write_bytes(public)
    path = make_bundle(goods(), tmp_path / "bundle", tmp_path / "key").path
    with opened(path, tmp_path / "key.pub") as found:
        assert found.signed_by


@pytest.mark.parametrize("wrong", [b"", b"AAAA", b"not base64!\xff", bytes(64)])
def test_a_wrong_signature_is_refused(signed, tmp_path, wrong):
    path, key, _ = signed
    with opened(path) as found:
        folder = shutil.copytree(found.folder, tmp_path / "copy")
    (folder / "manifest.sig").write_bytes(wrong)
    assert "the signature is not by" in refusal(folder, key)


def test_a_manifest_that_was_changed_after_it_was_signed_is_refused(signed, tmp_path, change):
    path, key, _ = signed
    with opened(path) as found:
        folder = shutil.copytree(found.folder, tmp_path / "copy")
    change(folder, lambda manifest: manifest.update(accuracy=1.0))
    assert "or the manifest was changed after it was signed" in refusal(folder, key)


def test_a_bundle_without_a_signature_is_refused_where_one_is_asked_for(original, signed):
    assert "it is not signed" in refusal(original, signed[1])


def test_keys_that_are_none_are_told(goods, original, signed, tmp_path):
    path, _, _ = signed
    (tmp_path / "text").write_text("no key")
    make_key(tmp_path / "rsa", "rsa")
    make_key(tmp_path / "locked", passphrase="secret")
    assert "this is no public key" in refusal(path, tmp_path / "text")
    assert "this is no Ed25519 key" in refusal(path, tmp_path / "rsa.pub")
    assert "cannot be read: No such file" in refusal(path, tmp_path / "nothing")
    for name, words in [
        ("text", "this is no private key"),
        ("rsa", "this is no Ed25519 key"),
        ("locked", "the key has a passphrase"),
        ("nothing", "cannot be read"),
    ]:
        with pytest.raises(UsageError, match=words) as caught:
            make_bundle(goods(), tmp_path / "bundle.zip", tmp_path / name)
        assert "ssh-keygen" in caught.value.remedy
    assert not (tmp_path / "bundle.zip").exists()
