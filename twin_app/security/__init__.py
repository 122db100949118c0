"""How this process proves who it is to brokers and registry, and whom it trusts: TLS, SASL, tokens, masking. Knows no Faust."""
