"""Ed25519 signatures (RFC 8032) of a bundle's manifest, which names the digest of every other file."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING

from hwloop.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAKE_KEY = "Make a pair: ssh-keygen -t ed25519 -N '' -f KEY"


def sign(content: bytes, key_file: Path) -> bytes:
    """Return the signature of `content` as a line of base64; the key is an OpenSSH or a PEM file.

    Raises:
        UsageError: the file holds no Ed25519 private key, or one with a passphrase.
    """
    return base64.b64encode(_private_key(key_file).sign(content)) + b"\n"


def check_signature(content: bytes, signature: bytes, key_file: Path) -> None:
    """See that `content` was signed with the private half of a public key (an OpenSSH or a PEM file).

    Raises:
        UsageError: it was not, or the file holds no Ed25519 public key.
    """
    from cryptography.exceptions import InvalidSignature

    key = _public_key(key_file)
    try:
        key.verify(base64.b64decode(signature, validate=False), content)
    except (InvalidSignature, binascii.Error) as error:
        raise UsageError(
            f"the signature is not by {key_file}, or the manifest was changed after it was signed",
            remedy="Do not trust the bundle, or name its maker's key.",
        ) from error


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    content = _read(path, "--sign")
    load = (
        serialization.load_ssh_private_key if b"OPENSSH PRIVATE KEY" in content else serialization.load_pem_private_key
    )
    try:
        key = load(content, None)
    except TypeError as error:
        raise UsageError(f"--sign {path}: the key has a passphrase", remedy=f"{MAKE_KEY}.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"--sign {path}: this is no private key: {error}", remedy=f"{MAKE_KEY}.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"--sign {path}: this is no Ed25519 key", remedy=f"{MAKE_KEY}.")
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    content = _read(path, "--key")
    load = serialization.load_ssh_public_key if content.startswith(b"ssh-") else serialization.load_pem_public_key
    try:
        key = load(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"--key {path}: this is no public key: {error}", remedy="Name KEY.pub.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"--key {path}: this is no Ed25519 key", remedy="Name KEY.pub.")
    return key


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{option} {path}: cannot be read: {error.strerror}", remedy=f"{MAKE_KEY}.") from error
