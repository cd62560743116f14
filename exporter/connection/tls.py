"""The TLS side of connections to servers."""

from __future__ import annotations

import ssl

from exporter import files
from exporter.connection.settings import DialSettings
from exporter.errors import ConfigError


def tls_context(settings: DialSettings) -> ssl.SSLContext:
    """What `settings` say about TLS. Raises ConfigError for a file that cannot be used."""
    if settings.key_file and not settings.cert_file:
        raise ConfigError(
            f"the TLS client key {settings.key_file} has no certificate: set --tls-client-cert-file too"
        )
    read = settings.ca_file
    try:
        if settings.ca_file:
            files.fetch(settings.ca_file, settings.file_limits)
        # only these CAs are trusted, not the system's too
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        if settings.cert_file:
            read = " and ".join(filter(None, (settings.cert_file, settings.key_file)))
            for file in filter(None, (settings.cert_file, settings.key_file)):
                files.fetch(file, settings.file_limits)
            # never ask for a password on the terminal
            context.load_cert_chain(settings.cert_file, settings.key_file or None, password=lambda: "")
    except ssl.SSLError as error:
        why = (error.reason or "not in PEM form, or an encrypted key").replace("_", " ").lower()
        raise ConfigError(f"TLS: {read} cannot be used: {why}") from None
    except OSError as error:
        raise ConfigError(f"TLS: {read} cannot be read: {error.strerror}") from None
    except files.FileError as error:
        raise ConfigError(f"TLS: {read} cannot be read: {error}") from None
    if settings.skip_verification:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
