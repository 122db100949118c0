"""What makes a real Kafka a secured one: certificates made for the run, a listener for mutual TLS and one for SASL over TLS.

The plain listener stays, for the broker's own traffic and for the test's look behind the scenes.
"""

from pathlib import Path
from typing import Any

import trustme
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.brokers.java_process import free_ports

USER = "twin"
PASSWORD = "hush-plain"
SCRAM_PASSWORD = "hush-scram"
KEY_PASSWORD = "hush-key"
ANSWER_S = 20


class Secured:
    """Certificates and listeners. `tls` is the address for mutual TLS, `sasl` that for SASL over TLS."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._ports = free_ports(2)
        ours, other = trustme.CA(), trustme.CA()
        self.ca = folder / "ca.pem"
        self.foreign_ca = folder / "foreign-ca.pem"
        self.server = folder / "server.pem"
        self.certificate = folder / "client.pem"
        self.key = folder / "client-key.pem"
        self.foreign_certificate = folder / "foreign.pem"
        ours.cert_pem.write_to_path(str(self.ca))
        other.cert_pem.write_to_path(str(self.foreign_ca))
        self.server.write_bytes(_with_key(ours.issue_cert("127.0.0.1", "localhost")))
        client = ours.issue_cert("twin@plant.example")
        self.certificate.write_bytes(b"".join(part.bytes() for part in client.cert_chain_pems))
        self.key.write_bytes(_key(client, KEY_PASSWORD))
        self.foreign_certificate.write_bytes(_with_key(other.issue_cert("twin@plant.example")))

    @property
    def tls(self) -> str:
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def sasl(self) -> str:
        return f"127.0.0.1:{self._ports[1]}"

    def add_to(self, settings: dict[str, Any]) -> None:
        """Add the listeners to a broker's properties."""
        both = f"MTLS://{self.tls},SASL://{self.sasl}"
        settings["listeners"] += f",{both}"
        settings["advertised.listeners"] += f",{both}"
        settings["listener.security.protocol.map"] += ",MTLS:SSL,SASL:SASL_SSL"
        login = "org.apache.kafka.common.security"
        settings.update(
            {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": self.server,
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": self.ca,
                "listener.name.mtls.ssl.client.auth": "required",
                "listener.name.sasl.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
                "listener.name.sasl.plain.sasl.jaas.config": f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
                "listener.name.sasl.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
                "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
                "listener.name.sasl.oauthbearer.sasl.jaas.config": f"{login}.oauthbearer.OAuthBearerLoginModule required "
                'unsecuredLoginStringClaim_sub="broker";',
            }
        )

    def create_users(self, bootstrap: str) -> None:
        """Make the SCRAM user known, by the plain listener."""
        admin = AdminClient({"bootstrap.servers": bootstrap})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            wanted = UserScramCredentialUpsertion(USER, ScramCredentialInfo(mechanism, 4096), SCRAM_PASSWORD.encode())
            for done in admin.alter_user_scram_credentials([wanted]).values():
                done.result(ANSWER_S)


def _key(cert: trustme.LeafCert, password: str | None = None) -> bytes:
    """The private key as PKCS 8, which is what Kafka reads."""
    key = load_pem_private_key(cert.private_key_pem.bytes(), None)
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def _with_key(cert: trustme.LeafCert) -> bytes:
    return _key(cert) + b"".join(part.bytes() for part in cert.cert_chain_pems)
