"""What the environment decides; the only reader of environment variables."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PORTS = {"partners": 8101, "feedback": 8102, "certification": 8103, "monitoring": 8104}


class Settings(BaseSettings):
    """Settings of one process, read from `PRAKTIKA_*` (and the two servers' usual names); empty is as if not given.

    What the environment does not give is read from files of the same name in small letters (`praktika_kafka_password`)
    in the folders that PRAKTIKA_SECRETS_DIR names (by colon).
    """

    model_config = SettingsConfigDict(env_prefix="PRAKTIKA_", env_ignore_empty=True, extra="ignore")

    kafka_bootstrap_servers: str = Field(
        "127.0.0.1:9092",
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "PRAKTIKA_KAFKA_BOOTSTRAP_SERVERS"),
    )
    kafka_security: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT: Kafka asks nobody who they are; the others: it does."
    )
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-512"] = "PLAIN"
    kafka_user: str = Field("praktika", description="Of ours on a secured Kafka: one of its super users.")
    kafka_password: SecretStr = SecretStr("")
    kafka_ca_file: Path | None = Field(
        None,
        description="Who signed Kafka's certificates, in PEM; given to organisations, too. None: a public authority.",
    )
    kafka_quota_bytes_per_s: int = Field(
        2_000_000, ge=1_000, description="By which Kafka itself slows down each organisation's user, in and out apart."
    )
    kafka_external: str = Field("", description="Bootstrap servers of a secured Kafka as organisations see them.")
    mongodb_uri: str = Field(
        "mongodb://127.0.0.1:27017/?directConnection=true",
        validation_alias=AliasChoices("MONGODB_URI", "PRAKTIKA_MONGODB_URI"),
    )
    mongodb_user: str = Field(
        "praktika",
        description="With a password: as whom to log in, if the URI says nothing of it; the set-up makes it.",
    )
    mongodb_password: SecretStr = SecretStr("")
    namespace: str = Field(
        "praktika",
        pattern=r"^[a-z][a-z0-9]{0,30}$",
        description="First part of every topic, consumer group and database name; one per network.",
    )
    role: Literal["all", "api", "worker"] = Field(
        "all", description="api: answer requests; worker: consume, forward and deliver; all: both in one process."
    )
    host: str = "127.0.0.1"
    port: int = Field(0, ge=0, le=65535, description="0: the service's own default port.")
    keys_dir: Path = Field(
        Path(".praktika/keys"), description="Holds token.jwks, the public keys that tokens are checked with."
    )
    private_keys_dir: Path | None = Field(
        None, description="Holds token.key, for partners and the set-up only; default: keys_dir/private."
    )
    credential_keys_dir: Path | None = Field(
        None,
        description="Holds credentials.key, which certificates are signed with, for certification and the set-up only; "
        "default: keys_dir/credentials.",
    )
    credential_language: Literal["en", "ru"] = Field("en", description="In which what credentials say is written.")
    credential_jwt: Literal["EdDSA", "ES256"] = Field("EdDSA", description="How credentials are signed as JWTs.")
    public_url: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?)?$",
        description="Where people reach all services behind one proxy: https://praktika.example. Else see public_urls.",
    )
    public_urls: dict[str, str] = Field(
        {},
        description="Where people reach each service, if each has an address of its own; default: its port at localhost"
        " (browsers take passkeys there, and not at 127.0.0.1).",
    )
    time_zone: str = Field("UTC", max_length=60, description="In which days and times are typed and shown: Asia/Tomsk.")
    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="Invitations are sent through it: smtp://user:password@mail.example:587, or smtps:// on 465. With "
        "a user, smtp:// speaks TLS before it logs in. Empty: links are only shown, to be sent by hand.",
    )
    smtp_from: str = Field("", max_length=254, description="The sender's address of these mails.")
    alert_mails: bool = Field(
        False,
        description="Alerts of indicators are mailed, too: to the operators, and the admins of whom they are for.",
    )
    oidc_issuer: str = Field("", description="OpenID Connect: the provider's issuer. Empty: no sign-in through one.")
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    oidc_name: str = Field("OpenID Connect", max_length=60, description="How people call the provider.")
    oidc_provision: dict[str, str] = Field(
        {},
        description="Whoever the provider knows under a verified address of these domains becomes a member (staff) of "
        'the organisation: {"college.example": "north-college"}. Empty: only who is a member may sign in.',
    )
    sign_in_failures: int = Field(
        10, ge=1, description="Wrong passwords for one member from one network at once; ten times as many from one."
    )
    sign_in_failures_per_min: float = Field(1, gt=0, description="The same in the long run.")
    token_lifetime_s: int = Field(900, ge=1, le=900)
    token_failures: int = Field(
        20, ge=1, description="Wrong secrets for one client_id from one address at once; ten times as many from one."
    )
    token_failures_per_min: float = Field(10, gt=0, description="The same in the long run.")
    proxies: str = Field(
        "",
        description="Addresses or networks, by comma or space, of our own reverse proxies: their X-Forwarded-For and "
        "-Proto are believed, nobody else's.",
    )
    strangers_at_once: int = Field(
        32, ge=1, description="Requests without a credential that one address may have open at once, per process."
    )
    strangers_per_s: float = Field(100, gt=0, description="The same in a second, in the long run.")
    strangers_burst: int = Field(1_000, ge=1, description="The same at once after a pause.")
    event_max_bytes: int = Field(256 * 1024, ge=1024, description="Of one event at the ingress, inflated.")
    batch_max_events: int = Field(1_000, ge=1)
    batch_max_bytes: int = Field(
        8 * 1024 * 1024, ge=1024, description="Of a batch, as sent and inflated; other bodies have 256 KiB at most."
    )
    quota_events_per_s: float = Field(
        1_000, gt=0, description="Of one organisation (not the operator) in the long run, per process of partners."
    )
    quota_burst_events: int = Field(
        100_000, ge=1, description="Events that an organisation may send at once after a pause, per process."
    )
    quota_bytes_per_s: float = Field(
        2_000_000,
        gt=0,
        description="Of one organisation (not the operator) in the long run, over all ways in, per process of "
        "partners; an event that names others counts for each of them, too.",
    )
    quota_burst_bytes: int = Field(
        100_000_000, ge=1, description="Bytes that an organisation may send at once after a pause, per process."
    )
    quota_bytes_per_day: int = Field(
        20_000_000_000, ge=1, description="Of one organisation in 24 hours, per process of partners."
    )
    in_flight_requests_of_one: int = Field(
        4,
        ge=1,
        description="Requests of an organisation that a process of partners works on at once, if together they are "
        "larger than one event may be.",
    )
    in_flight_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="Bytes of bodies that a process of partners works on at once."
    )
    in_flight_bytes_of_one: int = Field(
        8 * 1024 * 1024, ge=1024, description="The same of one organisation; what is more waits."
    )
    body_max_values: int = Field(
        600_000,
        ge=100,
        description="Values (members, items, objects) in one body: each takes memory once parsed.",
    )
    audience_max: int = Field(50, ge=1, description="Other organisations that one event may name: each is sent it.")
    trail_kept_days: int = Field(400, ge=1, description="How long the topic `audit` keeps who did what.")
    rejected_kept_days: int = Field(90, ge=1, description="How long what was refused is kept on the topic `rejected`.")
    rejected_max_bytes: int = Field(
        2_000_000_000, ge=1_000_000, description="Bytes that a partition of `rejected` keeps at most; the oldest go."
    )
    registry_checks: Literal["references", "owners"] = Field(
        "references",
        description="What the ingress checks against the registry: that what an event refers to is there and fits, or "
        "only that it is not another's (while a region's registry is being filled).",
    )
    free_ids: bool = Field(
        False,
        description="New learners, programmes, agreements, activities, opportunities, internships, support cases and "
        "schemes may be named in any way; else a new id begins with its organisation's: north-college:17.",
    )
    feed_readers: int = Field(
        10,
        ge=1,
        description="Streams and waiting reads of its feed that an organisation may have at once, per process.",
    )
    webhook_origin: str = Field(
        "praktika", pattern=r"^[A-Za-z0-9.-]{1,253}$", description="DNS name by which we ask to call a webhook."
    )
    webhooks_inside: bool = Field(
        False, description="For development and tests: webhooks, and what credentials name, may be http and inside."
    )
    webhook_retry_s: float = Field(
        5, gt=0, description="Pause after a first failure; it doubles with each further one."
    )
    webhook_disabled_after_s: int = Field(
        3 * 86_400, ge=1, description="A webhook whose address has failed for so long is sent nothing more."
    )
    webhooks_served: int = Field(1_000, ge=1, description="Webhooks that a process serves at once; others take turns.")
    upload_max_rows: int = Field(10_000, ge=1, description="Of a file on the upload page.")
    upload_cpu_s: int = Field(10, ge=1, description="Seconds of a processor that reading an XLSX file may take.")
    upload_memory_bytes: int = Field(
        512 * 2**20, ge=64 * 2**20, description="Memory that reading an XLSX file may take, in a process of its own."
    )
    market_labels: Path | None = Field(
        None,
        description="A CSV of competencies with their alternative labels, as ESCO gives them out, by which feedback "
        "suggests what skills of vacancies may be.",
    )
    gap_least_ratings: int = Field(
        5, ge=1, description="Ratings of a competency in a quarter below which nothing is concluded from them."
    )
    gap_satisfied_share: float = Field(
        0.6, ge=0, le=1, description="Share of ratings of 4 and 5 below which a revision is recommended."
    )
    gap_least_employers: int = Field(
        3, ge=3, description="Employers that must rate a competency below 4 before a programme is told to take it up."
    )
    gap_least_vacancies: int = Field(
        5, ge=1, description="Open vacancies of a region that are a demand, if nobody there certifies the competency."
    )
    gap_undemanded_days: int = Field(
        365,
        ge=30,
        le=36_500,
        description="Days without demand after which a competency that is certified is named to its programmes.",
    )
    client_id: str = Field("", description="For `praktika publish`: the organisation in whose name it sends.")
    client_secret: SecretStr = Field(SecretStr(""), description="For `praktika publish`: the organisation's secret.")
    clock_skew_s: int = Field(300, ge=0, description="How far in the future an event's time may lie.")
    consume_max_records: int = Field(5_000, ge=1, description="Most records in one transaction.")
    keep_states_bytes: int = Field(8_000_000, ge=0, description="Bytes of states that a consumer keeps in memory.")
    tick_s: float = Field(1.0, gt=0, description="How often a worker looks at what time has brought.")
    suppress_below: int = Field(5, ge=1, description="Groups smaller than this are not shown.")
    coverage_min: float = Field(
        0.5, ge=0, le=1, description="Where less is known of those whom a rate is about, it is shown as thin."
    )
    employment_leaves_out: frozenset[Literal["studying", "military_service", "parental_leave", "illness", "other"]] = (
        Field(frozenset(), description='Statuses that count in no employment rate; JSON: ["military_service"].')
    )
    open_data_publisher: str = Field("Praktika", max_length=200, description="Who publishes the open data catalogue.")
    open_data_licence: str = Field(
        "",
        pattern=r"^(https?://\S{1,200})?$",
        description="Its licence's address: https://creativecommons.org/licenses/by/4.0/. Empty: it says none.",
    )
    log_level: str = "INFO"

    def public(self, service: str) -> str:
        """The address at which people reach a service, without a slash at its end."""
        return self.public_url or self.public_urls.get(service, f"http://localhost:{PORTS[service]}")


@lru_cache
def settings() -> Settings:
    folders = os.environ.get("PRAKTIKA_SECRETS_DIR", "").split(os.pathsep)
    return Settings(_secrets_dir=[folder for folder in folders if folder and Path(folder).is_dir()] or None)
