"""The settings of security: whom to trust, who we are. Every one is checked for sense before anything connects.

Secrets are `SecretStr`: they are masked wherever a setting is shown. Each can also be read from a file, by the variable's name
with `_FILE` behind it (`TWIN_SASL_PASSWORD_FILE`), which is how orchestrators hand secrets in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

SECRET_BYTES_MAX = 64 << 10
"""Largest file that is read as a secret."""


class SecuritySettings(BaseSettings):
    """Part of `Settings`."""

    # -- to the brokers
    security_protocol: SecurityProtocol = Field("PLAINTEXT", description="how brokers are spoken to, as Kafka names it")
    ssl_ca_file: Path | None = Field(None, description="PEM of the authorities that sign the brokers; none: the system's")
    ssl_cert_file: Path | None = Field(None, description="PEM of our certificate and its chain: mutual TLS")
    ssl_key_file: Path | None = Field(None, description="PEM of our private key; none: it is in ssl_cert_file")
    ssl_key_password: SecretStr | None = Field(None, description="of an encrypted private key")
    ssl_check_hostname: bool = Field(True, description="whether a broker's certificate must name its host")
    sasl_mechanism: SaslMechanism | None = None
    sasl_username: str | None = Field(None, description="for PLAIN and SCRAM")
    sasl_password: SecretStr | None = Field(None, description="for PLAIN and SCRAM")
    oauth_token_url: str | None = Field(None, description="OAUTHBEARER: where tokens are had for the client's credentials")
    oauth_client_id: str | None = None
    oauth_client_secret: SecretStr | None = None
    oauth_scope: str | None = None
    oauth_token_file: Path | None = Field(None, description="OAUTHBEARER: a file in which somebody keeps a valid token instead")
    oauth_ca_file: Path | None = Field(None, description="PEM of the authorities that sign the token server; none: the system's")

    # -- to the schema registry
    registry_username: str | None = Field(None, description="basic authentication")
    registry_password: SecretStr | None = Field(None, description="basic authentication")
    registry_token: SecretStr | None = Field(None, description="bearer token, instead of user and password")
    registry_ca_file: Path | None = Field(None, description="PEM of the authorities that sign the registry; none: the usual ones")
    registry_cert_file: Path | None = Field(None, description="PEM of our certificate for the registry: mutual TLS")
    registry_key_file: Path | None = None
    registry_key_password: SecretStr | None = None

    @property
    def uses_tls(self) -> bool:
        """Whether the connections to brokers are encrypted."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def uses_sasl(self) -> bool:
        """Whether we log in at the brokers."""
        return self.security_protocol.startswith("SASL_")

    @model_validator(mode="after")
    def _secure_as_meant(self) -> SecuritySettings:
        """A credential that would not be used is an error: it means that the connection is not what the operator believes."""
        self._check_tls()
        self._check_sasl()
        _pair(self, "ssl_cert_file", "ssl_key_file", "ssl_key_password")
        _pair(self, "registry_cert_file", "registry_key_file", "registry_key_password")
        if (self.registry_username is None) != (self.registry_password is None):
            raise ValueError("registry_username and registry_password go together")
        if self.registry_token is not None and self.registry_username is not None:
            raise ValueError("registry_token and registry_username exclude each other")
        return self

    def _check_tls(self) -> None:
        given = [name for name in _TLS if getattr(self, name) is not None]
        if given and not self.uses_tls:
            raise ValueError(f"{given[0]} has no effect with security_protocol {self.security_protocol}; use SSL or SASL_SSL")
        if not self.ssl_check_hostname and not self.uses_tls:
            raise ValueError(f"ssl_check_hostname has no effect with security_protocol {self.security_protocol}")

    def _check_sasl(self) -> None:
        given = [name for name in (*_SASL, *_OAUTH) if getattr(self, name) is not None]
        if not self.uses_sasl:
            if given:
                raise ValueError(f"{given[0]} has no effect with security_protocol {self.security_protocol}; use SASL_SSL")
            return
        if self.sasl_mechanism is None:
            raise ValueError(f"sasl_mechanism is missing: one of {', '.join(get_args(SaslMechanism))}")
        wrong = [name for name in given if name in (_SASL[1:] if self.sasl_mechanism == "OAUTHBEARER" else _OAUTH)]
        if wrong:
            raise ValueError(f"{wrong[0]} has no effect with sasl_mechanism {self.sasl_mechanism}")
        if self.sasl_mechanism == "OAUTHBEARER":
            self._check_oauth()
        elif self.sasl_username is None or self.sasl_password is None:
            raise ValueError(f"sasl_username and sasl_password are needed with sasl_mechanism {self.sasl_mechanism}")

    def _check_oauth(self) -> None:
        if (self.oauth_token_url is None) == (self.oauth_token_file is None):
            raise ValueError("OAUTHBEARER needs either oauth_token_url or oauth_token_file")
        client = (self.oauth_client_id, self.oauth_client_secret)
        if self.oauth_token_url is not None and None in client:
            raise ValueError("oauth_client_id and oauth_client_secret are needed with oauth_token_url")
        if self.oauth_token_url is not None and urlsplit(self.oauth_token_url).scheme not in ("http", "https"):
            raise ValueError("oauth_token_url is no http or https address")


_TLS = ("ssl_ca_file", "ssl_cert_file", "ssl_key_file", "ssl_key_password")
_SASL = ("sasl_mechanism", "sasl_username", "sasl_password")
_OAUTH = ("oauth_token_url", "oauth_client_id", "oauth_client_secret", "oauth_scope", "oauth_token_file", "oauth_ca_file")


def _pair(settings: SecuritySettings, cert: str, *belonging: str) -> None:
    for name in belonging:
        if getattr(settings, name) is not None and getattr(settings, cert) is None:
            raise ValueError(f"{name} needs {cert}")


def secret_in(path: str) -> str:
    """The secret in a file, without the line's end. Raises ValueError, which does not hold what was read."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(SECRET_BYTES_MAX + 1)
        if len(raw) > SECRET_BYTES_MAX:
            raise ValueError(f"{path} is larger than {SECRET_BYTES_MAX} bytes")
        return raw.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
