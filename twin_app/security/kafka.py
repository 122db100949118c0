"""Security as the Kafka client takes it. Every client of this process is made with these arguments."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import Any

from aiokafka.abc import AbstractTokenProvider

from twin_app.security.settings import SecuritySettings
from twin_app.security.tls import tls_context
from twin_app.security.tokens import tokens


def client_security(settings: SecuritySettings) -> dict[str, Any]:
    """Arguments of AIOKafkaConsumer, -Producer and -AdminClient. Raises TwinError `bad-certificate`."""
    arguments: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.uses_tls:
        arguments["ssl_context"] = broker_tls(settings)
    if settings.uses_sasl:
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        if settings.sasl_mechanism == "OAUTHBEARER":
            arguments["sasl_oauth_token_provider"] = token_provider(settings)
        else:
            assert settings.sasl_password is not None
            arguments["sasl_plain_username"] = settings.sasl_username
            arguments["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return arguments


def broker_tls(settings: SecuritySettings) -> ssl.SSLContext | None:
    """The TLS context for brokers; None without TLS. Raises TwinError `bad-certificate`."""
    if not settings.uses_tls:
        return None
    return tls_context(
        settings.ssl_ca_file,
        settings.ssl_cert_file,
        settings.ssl_key_file,
        settings.ssl_key_password,
        check_hostname=settings.ssl_check_hostname,
    )


@lru_cache(maxsize=8)
def token_provider(settings: SecuritySettings) -> AbstractTokenProvider:
    """One provider for all clients with the same settings, so that a token is fetched once for all of them."""
    return tokens(settings)
