"""Secrets of the servers, made once and kept in a folder: MongoDB's login, and what makes Kafka a secured one.

`python -m deploy.security mongodb FOLDER` makes what is missing of:
- `server/keyfile`: what only MongoDB may read, by which the members of a replica set know each other;
- `services/`: what our services log in with, one file a setting (PRAKTIKA_SECRETS_DIR).

`python -m deploy.security kafka FOLDER HOST:PORT` (the set-up of `docker compose --profile secure` does it):
- `broker/`: what only Kafka may read, with `broker.env`, its settings in the form of its image;
- `services/`: what our services log in with, one file a setting (PRAKTIKA_SECRETS_DIR);
- `authority/`: the key that signs Kafka's certificates. Lose it, and organisations need a new `ca.crt`.
"""

import argparse
import ipaddress
import os
import secrets
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

USER = "praktika"  # the broker itself and our services: the one super user
AUTHORITY_DAYS, BROKER_DAYS, RENEWED_DAYS = 3650, 800, 60
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"


def ensure(folder: Path, external: str) -> dict[str, str]:
    """Make what is missing; give the settings of Kafka that are the same wherever it runs.

    Args:
        external: host and port by which organisations reach Kafka. For another host the certificate is made anew, and
            so it is 60 days before it ends.
    """
    services, broker = folder / "services", folder / "broker"
    for part in (services, broker, folder / "authority"):
        part.mkdir(parents=True, exist_ok=True)
    key, authority = _authority(folder / "authority", services / "ca.crt")
    _ensure_certificate(broker / "broker.pem", external.rpartition(":")[0].strip("[]"), key, authority)
    password = services / "praktika_kafka_password"
    if not password.exists():
        _write(password, secrets.token_urlsafe(32).encode())
    given = {
        "kafka_security": "SASL_PLAINTEXT",
        "kafka_user": USER,
        "kafka_ca_file": str(services / "ca.crt"),
        "kafka_external": external,
    }
    for name, value in given.items():
        _write(services / f"praktika_{name}", value.encode())
    return _settings(password.read_text(), broker / "broker.pem")


def ensure_mongodb(folder: Path) -> Path:
    """Make what is missing; give the keyfile, with which MongoDB asks everybody for a password."""
    keyfile, password = folder / "server" / "keyfile", folder / "services" / "praktika_mongodb_password"
    for path, size in ((keyfile, 256), (password, 32)):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _write(path, secrets.token_hex(size).encode())  # a keyfile knows the letters of base64 only
    return keyfile


def login(folder: Path) -> tuple[str, str]:
    """User and password of our services."""
    return USER, (folder / "services" / "praktika_kafka_password").read_text()


def _settings(password: str, certificate: Path) -> dict[str, str]:
    """Ours log in to INTERNAL and CONTROLLER with a password that Kafka is started with, organisations to EXTERNAL."""
    own = f'{PLAIN} username="{USER}" password="{password}" user_{USER}="{password}";'
    return {
        "listener.security.protocol.map": "INTERNAL:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT,EXTERNAL:SASL_SSL",
        "inter.broker.listener.name": "INTERNAL",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "listener.name.internal.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.internal.plain.sasl.jaas.config": own,
        "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.controller.plain.sasl.jaas.config": own,
        "listener.name.external.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.external.scram-sha-512.sasl.jaas.config": SCRAM,
        "listener.name.external.ssl.keystore.type": "PEM",
        "listener.name.external.ssl.keystore.location": str(certificate),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{USER}",
        "allow.everyone.if.no.acl.found": "false",
    }


def _authority(folder: Path, certificate: Path) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    kept = folder / "ca.key"
    if kept.exists():
        key = load_pem_private_key(kept.read_bytes(), None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise TypeError(f"{kept} is no key on an elliptic curve")
        return key, x509.load_pem_x509_certificate(certificate.read_bytes())
    key, name = generate_private_key(SECP256R1()), _name("Praktika Kafka CA")
    made = (
        _certificate(name, name, key, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, SHA256())
    )
    _write(certificate, made.public_bytes(Encoding.PEM))
    _write(kept, _pem(key), 0o600)
    return key, made


def _ensure_certificate(path: Path, host: str, signer: EllipticCurvePrivateKey, authority: x509.Certificate) -> None:
    """Key and certificate of the broker in one file, for *host* and for a while."""
    names = x509.SubjectAlternativeName([*{_alternative(each): None for each in (host, "localhost", "127.0.0.1")}])
    if path.exists():
        known = x509.load_pem_x509_certificate(path.read_bytes())
        is_for_host = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == names
        if is_for_host and known.not_valid_after_utc - datetime.now(UTC) > timedelta(days=RENEWED_DAYS):
            return
    key = generate_private_key(SECP256R1())
    made = (
        _certificate(_name("Praktika Kafka"), authority.subject, key, BROKER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, SHA256())
    )
    _write(path, _pem(key) + made.public_bytes(Encoding.PEM))


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    unused = dict.fromkeys((*others, "decipher_only"), False)
    return x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, **unused)


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, mode: int = 0o640) -> None:
    """Replace a file at once, never readable by more than *mode* allows."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.rename(path)


def _as_environment(settings: dict[str, str]) -> str:
    """Lines for a shell that start Kafka's image with these settings."""
    names = {name: name.upper().replace("-", "___").replace(".", "_") for name in settings}
    return "".join(f"export KAFKA_{names[name]}={shlex.quote(value)}\n" for name, value in settings.items())


def main() -> None:
    parser = argparse.ArgumentParser(description="Make what servers in containers need, unless it is there.")
    servers = parser.add_subparsers(dest="server", required=True)
    for name in ("mongodb", "kafka"):
        servers.add_parser(name).add_argument("folder", type=Path)
    servers.choices["kafka"].add_argument("external", help="host:port by which organisations reach Kafka")
    given = parser.parse_args()
    if given.server == "mongodb":
        ensure_mongodb(given.folder)
        return
    listeners = {
        "listeners": "INTERNAL://:9092,EXTERNAL://:9094,CONTROLLER://127.0.0.1:9093",
        "advertised.listeners": f"INTERNAL://kafka:9092,EXTERNAL://{given.external}",
    }
    environment = _as_environment(ensure(given.folder, given.external) | listeners)
    _write(given.folder / "broker" / "broker.env", environment.encode())


if __name__ == "__main__":
    main()
