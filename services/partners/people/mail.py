"""Mail over the SMTP server that the settings name: letters in all languages, and invitations."""

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import unquote, urlsplit

from shared.observability import logs
from shared.pages.languages import LANGUAGES, N_, Text
from shared.settings import Settings

from .members import INVITED_DAYS, Invited

log = logs.get(__name__)
PATIENCE_S = 20
SUBJECT = Text("Your access to Praktika")
BODY = N_(
    "Hello {name},\n\n{organisation} gives you access to Praktika, where education and industry train people together."
    "\nOpen this link within {days} days and choose how to sign in:\n\n{link}\n\n"
    "The link works once. If you did not expect it, do nothing.\n"
)


async def send_link(settings: Settings, invited: Invited, organisation: str, link: str) -> bool:
    """Send somebody the link; False: it did not work, or there is no server: then it must be handed over."""
    if not settings.smtp_url.get_secret_value():
        return False
    given = {"name": invited.name, "organisation": organisation, "days": INVITED_DAYS, "link": link}
    try:
        await send(settings, letter(settings, invited.email, SUBJECT, Text(BODY, given)))
    except (OSError, smtplib.SMTPException, ValueError) as error:
        log.warning("mail_not_sent", reason=type(error).__name__)
        return False
    return True


def letter(settings: Settings, address: str, subject: Text, body: Text, id: str = "") -> EmailMessage:
    """A letter in each language; *id*: by which one that comes twice is known again."""
    message = EmailMessage()
    message["Subject"] = " / ".join(subject.into(language) for language in LANGUAGES)
    message["From"] = settings.smtp_from
    message["To"] = address
    message["Date"], message["Message-ID"] = formatdate(), f"<{id}@praktika>" if id else make_msgid(domain="praktika")
    message.set_content("\n\n".join(body.into(language) for language in LANGUAGES))
    return message


async def send(settings: Settings, message: EmailMessage) -> None:
    """Hand a letter to the server.

    Raises:
        OSError, smtplib.SMTPException, ValueError: it did not work.
    """
    await asyncio.to_thread(_send, settings.smtp_url.get_secret_value(), message)


def _send(url: str, message: EmailMessage) -> None:
    parts, context = urlsplit(url), ssl.create_default_context()
    host = parts.hostname or ""
    is_tls = parts.scheme == "smtps"
    with (
        smtplib.SMTP_SSL(host, parts.port or 465, timeout=PATIENCE_S, context=context)
        if is_tls
        else smtplib.SMTP(host, parts.port or 25, timeout=PATIENCE_S)
    ) as server:
        if parts.username:
            if not is_tls:
                server.starttls(context=context)
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(message)
