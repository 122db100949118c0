"""A credential must neither be ignored nor shown."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from models.errors import TwinError
from twin_app.security.kafka import client_security
from twin_app.security.tokens import FileTokens
from twin_app.settings import Settings, is_secret, load_settings

LOGIN = {"TWIN_SECURITY_PROTOCOL": "SASL_SSL", "TWIN_SASL_MECHANISM": "PLAIN", "TWIN_SASL_USERNAME": "u"}
OAUTH = {"TWIN_SECURITY_PROTOCOL": "SASL_SSL", "TWIN_SASL_MECHANISM": "OAUTHBEARER"}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"TWIN_SASL_PASSWORD": "hush"}, "sasl_password has no effect with security_protocol PLAINTEXT"),
        ({"TWIN_SSL_CA_FILE": "ca.pem"}, "ssl_ca_file has no effect"),
        ({"TWIN_SSL_CHECK_HOSTNAME": "false"}, "ssl_check_hostname has no effect"),
        ({"TWIN_SECURITY_PROTOCOL": "SASL_SSL"}, "sasl_mechanism is missing"),
        (LOGIN, "sasl_username and sasl_password are needed"),
        (LOGIN | {"TWIN_SASL_PASSWORD": "hush", "TWIN_OAUTH_SCOPE": "x"}, "oauth_scope has no effect with sasl_mechanism PLAIN"),
        (OAUTH, "either oauth_token_url or oauth_token_file"),
        (OAUTH | {"TWIN_OAUTH_TOKEN_FILE": "t", "TWIN_SASL_PASSWORD": "hush"}, "sasl_password has no effect"),
        (OAUTH | {"TWIN_OAUTH_TOKEN_URL": "http://t"}, "oauth_client_id and oauth_client_secret are needed"),
        (
            OAUTH | {"TWIN_OAUTH_TOKEN_URL": "ftp://t", "TWIN_OAUTH_CLIENT_ID": "c", "TWIN_OAUTH_CLIENT_SECRET": "hush"},
            "no http or https",
        ),
        ({"TWIN_SECURITY_PROTOCOL": "SSL", "TWIN_SSL_KEY_FILE": "k"}, "ssl_key_file needs ssl_cert_file"),
        ({"TWIN_REGISTRY_USERNAME": "u"}, "go together"),
        (
            {"TWIN_REGISTRY_USERNAME": "u", "TWIN_REGISTRY_PASSWORD": "hush", "TWIN_REGISTRY_TOKEN": "hush"},
            "exclude each other",
        ),
        ({"TWIN_REGISTRY_KEY_FILE": "k"}, "registry_key_file needs registry_cert_file"),
        ({"TWIN_SECURITY_PROTOCOL": "TLS"}, "TWIN_SECURITY_PROTOCOL"),
    ],
)
def test_security_that_is_not_as_the_operator_means_it_is_refused(environ: dict[str, str], said: str) -> None:
    with pytest.raises(TwinError) as caught:
        load_settings(environ)
    assert said in caught.value.message
    assert "hush" not in str(caught.value)


def test_a_secret_is_shown_nowhere_in_the_settings() -> None:
    settings = load_settings(LOGIN | {"TWIN_SASL_PASSWORD": "hush", "TWIN_REGISTRY_TOKEN": "hush"})
    assert "hush" not in repr(settings) + str(settings) + str(settings.model_dump()) + settings.model_dump_json()
    assert client_security(settings)["sasl_plain_password"] == "hush"


def test_every_setting_that_sounds_like_a_secret_is_one_by_its_type() -> None:
    for name in Settings.model_fields:
        sounds = any(word in name for word in ("password", "secret")) or name.endswith("token")
        assert sounds == is_secret(name), name


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hush\n")
    settings = load_settings(LOGIN | {"TWIN_SASL_PASSWORD_FILE": str(file)})
    assert settings.sasl_password is not None
    assert settings.sasl_password.get_secret_value() == "hush"
    with pytest.raises(TwinError, match="exclude each other"):
        load_settings(LOGIN | {"TWIN_SASL_PASSWORD_FILE": str(file), "TWIN_SASL_PASSWORD": "x"})
    with pytest.raises(TwinError, match="cannot be read"):
        load_settings(LOGIN | {"TWIN_SASL_PASSWORD_FILE": str(tmp_path / "none")})
    with pytest.raises(TwinError, match="TWIN_APP_ID_FILE is not a setting"):
        load_settings({"TWIN_APP_ID_FILE": str(file)})


def test_a_certificate_that_cannot_be_used_names_its_file(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    with pytest.raises(TwinError, match=r"bad-certificate.*|.*ca\.pem"):
        client_security(load_settings({"TWIN_SECURITY_PROTOCOL": "SSL", "TWIN_SSL_CA_FILE": str(file)}))
    file.write_text("no certificate")
    with pytest.raises(TwinError) as caught:
        client_security(load_settings({"TWIN_SECURITY_PROTOCOL": "SSL", "TWIN_SSL_CA_FILE": str(file)}))
    assert (caught.value.code, caught.value.place) == ("bad-certificate", str(file))


def test_tls_verifies_the_broker_unless_told_otherwise() -> None:
    context = client_security(load_settings({"TWIN_SECURITY_PROTOCOL": "SSL"}))["ssl_context"]
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert client_security(load_settings({"TWIN_SECURITY_PROTOCOL": "SSL"}))["ssl_context"] is context
    loose = client_security(load_settings({"TWIN_SECURITY_PROTOCOL": "SSL", "TWIN_SSL_CHECK_HOSTNAME": "0"}))["ssl_context"]
    assert loose.verify_mode == ssl.CERT_REQUIRED
    assert not loose.check_hostname


async def test_a_token_file_is_read_for_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = FileTokens(file)
    with pytest.raises(KafkaConnectionError):
        await tokens.token()
    file.write_text("one\n")
    assert await tokens.token() == "one"
    file.write_text("two")
    assert await tokens.token() == "two"
