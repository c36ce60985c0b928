"""Alerts of indicators by mail, if the settings say so: to the admins of those who are told; of its rules the operator.

At least once: what could not be sent is read again; a mail that comes twice has the same id. The feed has all of it.
"""

import asyncio
import smtplib
import time
from collections.abc import Iterable
from datetime import timedelta
from email.message import EmailMessage

from services.partners.gateway.egress.audience import audience_of
from services.partners.gateway.egress.forwarding import event_in, read_known
from services.partners.network.registry import OPERATOR
from shared.contract.events import Data, Event, IndicatorAlerted, derived_id
from shared.http.service import Service
from shared.log.consumer import raw_consumer
from shared.log.topics import topic_name
from shared.observability import logs
from shared.pages.languages import N_, Text

from .mail import letter, send
from .members import MEMBERS, Person, is_chief, roles_in

YOUNG = timedelta(days=3)  # older alerts were there before mails were wanted
AGAIN_S = 60
MOST = 100  # alerts in a mail
SUBJECT = Text("Alerts of indicators")
BODY = N_("Hello {name},\n\nthere are new alerts of indicators ({number}):\n\n{alerts}\n\nAll of them: {link}\n")
log = logs.get(__name__)


async def mail_alerts(service: Service) -> None:
    """Mail what is alerted of, for as long as nothing goes wrong."""
    settings = service.settings
    if not (settings.alert_mails and settings.smtp_url.get_secret_value()):
        await asyncio.Event().wait()
    sent: set[str] = service.shared.setdefault("alert_mails", set())  # ids, until their alerts are committed
    consumer = raw_consumer(settings, "partners-alert-mails")
    consumer.subscribe(topics=[topic_name(settings.namespace, IndicatorAlerted.topic)])
    try:
        await consumer.start()
        while True:
            parts = await consumer.getmany(timeout_ms=1_000, max_records=1_000)
            oldest_ms = (time.time() - YOUNG.total_seconds()) * 1000
            young = [record for part in parts.values() for record in part if record.timestamp > oldest_ms]
            said = [event for record in young if (event := event_in(record))]
            alerts = [event for event in said if isinstance(event.data, IndicatorAlerted)]
            if not await _mail(service, alerts, sent):
                await asyncio.sleep(AGAIN_S)
                return
            if parts:
                await consumer.commit()
                sent.clear()
    finally:
        await consumer.stop()


# What is wrong with one address or letter, and will be wrong again.
OF_ONE = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPNotSupportedError, ValueError)


async def _mail(service: Service, alerts: list[Event[Data]], sent: set[str]) -> bool:
    """Send each organisation's admins what it is told, in one mail; False: there is no way to the server now.

    Args:
        sent: the ids of those that were sent at an earlier try, and are not sent again.
    """
    known, _ = await read_known(alerts, service)
    told: dict[str, list[Event[Data]]] = {}
    for event in alerts:
        of_rule = getattr(event.data, "organisation", None) or OPERATOR
        for organisation in {*audience_of(event, known), of_rule}:
            told.setdefault(organisation, []).append(event)
    for organisation, some in sorted(told.items()):
        chiefs = [role.value for role in roles_in(organisation) if is_chief(role)]
        match = {"organisation": organisation, "role": {"$in": chiefs}}
        async for person in service.store.home[MEMBERS].find(match).sort("_id"):
            mail = _letter(service, person, some)
            if mail["Message-ID"] in sent:
                continue
            try:
                await send(service.settings, mail)
            except OF_ONE as error:
                log.warning("mail_not_sent", member=person["_id"], reason=type(error).__name__)
            except (OSError, smtplib.SMTPException) as error:
                log.warning("mail_not_sent", reason=type(error).__name__)
                return False
            sent.add(mail["Message-ID"])
    return True


def _letter(service: Service, person: Person, alerts: Iterable[Event[Data]]) -> EmailMessage:
    lines = [_line(event.data) for event in alerts if isinstance(event.data, IndicatorAlerted)]
    shown = "\n".join([*lines[:MOST], *(["…"] if len(lines) > MOST else [])])
    given = {"name": person["name"], "number": len(lines), "alerts": shown}
    link = f"{service.settings.public('monitoring')}/alerts"
    id = derived_id("alert mail", person["_id"], *sorted(event.id for event in alerts))
    return letter(service.settings, person["email"], SUBJECT, Text(BODY, {**given, "link": link}), id)


def _line(alert: IndicatorAlerted) -> str:
    """For people who know the indicators; partners knows their ids only."""
    before = "" if alert.before is None else f" (before: {alert.before:g})"
    return (
        f"- {alert.indicator}, {alert.scope} {alert.scope_id}, {alert.window}: {alert.value:g}{before}, n = {alert.n}"
    )
