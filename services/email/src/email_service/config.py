"""Settings of the email service."""

from dataclasses import dataclass

from eventbus.settings import ServiceSettings, between, one_of, tcp_port, variable


@dataclass(frozen=True, kw_only=True)
class EmailSettings(ServiceSettings):
    """What only the email service asks for."""

    smtp_host: str = variable("SMTP_HOST", default="localhost")
    smtp_port: int = variable("SMTP_PORT", tcp_port, default=25)
    smtp_security: str = variable(
        "SMTP_SECURITY", one_of("auto", "starttls", "tls", "none"), default="auto"
    )
    smtp_timeout: float = variable("SMTP_TIMEOUT_SECONDS", between(1, 300), default=20.0)
    smtp_username: str = variable("EMAIL_USERNAME", default="", secret=True)
    smtp_password: str = variable("EMAIL_PASSWORD", default="", secret=True)
    lease: float = variable("MAIL_LEASE_SECONDS", between(5, 3_600), default=120.0)
    mail_from: str = variable("MAIL_FROM", default="shop@example.com")
    senders: int = variable("SENDER_THREADS", lambda text: int(between(1, 32)(text)), default=8)
    rate: float = variable("MAILS_PER_SECOND", between(0, 100_000), default=0.0)
