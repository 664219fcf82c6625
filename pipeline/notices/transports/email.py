"""E-mail, by Django's mail settings: one message to one address, text only, threaded by notice."""

from __future__ import annotations

import hashlib
import re
import smtplib
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMessage

from pipeline.finra.plain_text import printable, shortened
from pipeline.models import Channel
from pipeline.notices.failures import Lasting, Passing
from pipeline.notices.message import Message, dedupe_key

LASTING = 500  # and above: RFC 5321, 4.2.1
SHOWN = 120
DOMAIN = re.compile(r"[A-Za-z0-9.-]+", re.ASCII)


def place(channel: Channel) -> str:
    """The address, where mail is set up."""
    if not settings.EMAIL_HOST:
        raise Lasting("EMAIL_HOST is not set: name the server that takes mail, and DEFAULT_FROM_EMAIL")
    return channel.address


def send(channel: Channel, message: Message) -> str:
    """Hand it to the mail server; the Message-ID, which stays the same when it is tried again."""
    place(channel)
    mail = EmailMessage(
        subject=message.subject,
        body=message.text + "\n",
        to=[channel.address],
        headers=_headers(message),
    )
    try:
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _failure(code, said) from None
    except smtplib.SMTPResponseException as error:
        raise _failure(error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPNotSupportedError as error:
        raise Lasting(f"the mail server does not support what the EMAIL_ settings ask for: {error}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise Passing(f"the mail server {settings.EMAIL_HOST} cannot be reached: {error}") from None
    return str(mail.extra_headers["Message-ID"])


def _failure(code: int, said: bytes | str) -> Lasting | Passing:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    told = f"the mail server answered {code}: {shortened(printable(' '.join(text.split())), SHOWN)}"
    return Lasting(told) if code >= LASTING else Passing(told)


def _headers(message: Message) -> dict[str, str]:
    headers = {"Message-ID": f"<{message.uid}@{_domain()}>", "Auto-Submitted": "auto-generated"}
    if message.only is not None:
        about = hashlib.sha256(f"{dedupe_key(message.only.notice)} {message.only.notice_id}".encode()).hexdigest()
        headers["References"] = f"<{about}@{_domain()}>"
    return headers


def _domain() -> str:
    """The domain of the sender's address: a Message-ID has one."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    return domain if DOMAIN.fullmatch(domain) else "marketspine.invalid"
