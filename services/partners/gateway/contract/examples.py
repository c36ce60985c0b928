"""One example event of every type, as it is on the log: a region with a college, a plant and one learner."""

from datetime import date, datetime

from shared.contract import events
from shared.contract.events import Data, Event, Publisher
from shared.contract.skills import skill_id

COLLEGE = ("north-college", Publisher.institution)
PLANT = ("river-plant", Publisher.enterprise)
OPERATOR = ("operator", Publisher.operator)
LEARNER, WELDING = "learner-17", "national:welding-3"
TIME = datetime.fromisoformat("2026-06-15T09:00:00+07:00")


def _by(who: tuple[str, Publisher], subject: str, data: Data) -> Event[Data]:
    named = LEARNER if data.key == "learner" else getattr(data, data.key, None)
    return events.compose(
        data,
        source=f"/organisations/{who[0]}",
        kind=who[1],
        id=f"{subject}-{data.short_type.rpartition('.')[2]}".replace("_", "-"),
        subject=subject,
        key=named or subject,
        time=TIME,
    )


def _concluded(service: str, subject: str, data: Data) -> Event[Data]:
    key = LEARNER if data.key == "learner" else getattr(data, data.key, None) or subject
    return events.derive(service, data, id=events.derived_id(subject), subject=subject, key=key, time=TIME)


_ALL = (
    _by(
        OPERATOR,
        "north-college",
        events.OrganisationRegistered(
            kind=events.OrganisationKind.institution, name="North College", region="north", sector="P85"
        ),
    ),
    _by(OPERATOR, "river-plant", events.OrganisationSuspended(reason="Its credential was lost.")),
    _by(OPERATOR, "river-plant", events.OrganisationReinstated()),
    _by(OPERATOR, "credential-2", events.CredentialWithdrawn(organisation="river-plant", credential="credential-2")),
    _by(COLLEGE, "north-college", events.IssuerDeclared(did="did:web:north-college.example")),
    _by(
        COLLEGE,
        "agreement-2026-4",
        events.AgreementProposed(
            parties=["north-college", "river-plant"],
            scope="Practice of welders at the plant",
            programmes=["welding"],
            valid_from=date(2026, 9, 1),
            valid_until=date(2027, 8, 31),
        ),
    ),
    _by(PLANT, "agreement-2026-4", events.AgreementSigned()),
    _by(PLANT, "agreement-2026-4", events.AgreementRefused(reason="There are no places before January.")),
    _by(PLANT, "agreement-2026-4", events.AgreementEnded(reason="The workshop is closed for rebuilding.")),
    _by(
        COLLEGE,
        "welding",
        events.ProgrammePublished(
            title="Welding technology",
            version="2026",
            level=4,
            competencies=[
                events.ProgrammeCompetency(competency=WELDING, level=4),
                events.ProgrammeCompetency(competency="greencomp:3.1", level=3),
            ],
            hours_theory=900,
            hours_workplace=640,
            joint_partners=[
                events.JointPartner(organisation="river-plant", kind=events.OrganisationKind.enterprise),
            ],
        ),
    ),
    _concluded(
        "feedback",
        "welding",
        events.ProgrammeRevisionRecommended(
            recommendation="welding-2026Q2",
            competency=WELDING,
            window="2026Q2",
            ratings=24,
            satisfied=11,
            threshold=0.6,
        ),
    ),
    _concluded(
        "feedback",
        "welding",
        events.ProgrammeGapFound(
            recommendation="welding-greencomp-4.2-2026Q2",
            competency="greencomp:4.2",
            window="2026Q2",
            ground=events.GapGround.wishes,
            employers=4,
        ),
    ),
    _concluded(
        "feedback",
        "welding",
        events.ProgrammeDemandLapsed(
            recommendation="welding-greencomp-3.1-2026Q2",
            competency="greencomp:3.1",
            window="2026Q2",
            demanded_until=date(2025, 4, 30),
            observed_since=date(2024, 9, 1),
        ),
    ),
    _by(
        OPERATOR,
        "welding",
        events.ProgrammeRevisionWithdrawn(recommendation="welding-2026Q2", reason="The ratings were forged."),
    ),
    _by(COLLEGE, "welding", events.ProgrammeRevised(recommendation="welding-2026Q2", version="2026-2")),
    _by(
        COLLEGE,
        "welding",
        events.ProgrammeRevisionDeclined(recommendation="welding-2026Q2", reason="The new workshop opens in autumn."),
    ),
    _by(
        COLLEGE,
        "welding",
        events.ProgrammeRevisionPlanned(recommendation="welding-2026Q2", until=date(2026, 12, 31)),
    ),
    _by(PLANT, "welding", events.ProgrammeJoined()),
    _by(PLANT, "welding", events.ProgrammeAnnulled(event="welding-joined", reason="It was another programme.")),
    _by(
        PLANT,
        "open-day-2026-6",
        events.ActivityHeld(
            kind=events.ActivityKind.master_class,
            organisations=["north-college"],
            hours=3.5,
            participants=28,
            competencies=[WELDING],
        ),
    ),
    _by(PLANT, "open-day-2026-6", events.ActivityAnnulled(event="open-day-2026-6-held", reason="It was put off.")),
    _by(COLLEGE, LEARNER, events.LearnerEnrolled(programme="welding", cohort="2026-06")),
    _by(COLLEGE, LEARNER, events.LearnerGraduated(programme="welding", graduated_on=date(2026, 6, 14))),
    _by(COLLEGE, LEARNER, events.LearnerLeft(programme="welding", left_on=date(2026, 3, 31))),
    _by(
        COLLEGE,
        LEARNER,
        events.LearnerDescribed(sex=events.Sex.female, disability=False, rural=True, first_in_family=True),
    ),
    _by(COLLEGE, LEARNER, events.LearnerAnnulled(event="learner-17-graduated", reason="Another learner graduated.")),
    _by(COLLEGE, LEARNER, events.LearnerShared(institution="south-university")),
    _by(COLLEGE, LEARNER, events.LearnerErased()),
    _by(
        PLANT,
        "internship-31",
        events.InternshipStarted(enterprise="river-plant", programme="welding", agreement="agreement-2026-4"),
    ),
    _by(
        PLANT,
        "internship-31",
        events.InternshipCompleted(
            enterprise="river-plant",
            programme="welding",
            hours=160,
            competencies=[WELDING, "greencomp:3.1"],
            outcome=events.InternshipOutcome.passed,
        ),
    ),
    _by(
        PLANT,
        "internship-31",
        events.InternshipCancelled(
            enterprise="river-plant", programme="welding", reason="The production line stood still."
        ),
    ),
    _by(
        PLANT,
        "internship-31",
        events.InternshipAnnulled(event="internship-31-completed", reason="It goes on until July."),
    ),
    _by(
        PLANT,
        "job-8",
        events.EmploymentRecorded(
            status=events.EmploymentStatus.employed,
            since=date(2026, 6, 15),
            contract=events.Contract.permanent,
            full_time=True,
            related_to_field=True,
            enterprise="river-plant",
            basis=events.Basis.employer,
            hours_per_week=40,
            occupation="isco:7212",
            pay_band=events.PayBand.upper_middle,
        ),
    ),
    _by(PLANT, "job-8", events.EmploymentEnded(ended_on=date(2026, 6, 30))),
    _by(PLANT, "job-8", events.EmploymentAnnulled(event="job-8-recorded", reason="Another learner was hired.")),
    _by(
        COLLEGE,
        "application-4",
        events.ApplicationSubmitted(enterprise="river-plant", opportunity="places-2026-autumn"),
    ),
    _by(COLLEGE, "application-4", events.ApplicationWithdrawn(enterprise="river-plant")),
    _by(PLANT, "application-4", events.ApplicationAccepted()),
    _by(PLANT, "application-4", events.ApplicationDeclined()),
    _by(COLLEGE, "case-5", events.SupportRequested(need=events.SupportNeed.job)),
    _by(COLLEGE, "case-5", events.SupportClosed(outcome=events.SupportOutcome.hired)),
    _by(COLLEGE, "case-5", events.SupportAnnulled(event="case-5-closed", reason="The contract was not signed.")),
    _by(
        PLANT,
        "assessment-12",
        events.AssessmentRecorded(
            competency=WELDING, method=events.AssessmentMethod.workplace_demonstration, score=0.85
        ),
    ),
    _by(
        PLANT,
        "assessment-12",
        events.AssessmentAnnulled(event="assessment-12-recorded", reason="It was another learner's."),
    ),
    _concluded(
        "certification",
        "certificate-9",
        events.CompetencyCertified(
            competency=WELDING,
            level=4,
            scheme="welders-2026",
            institution="north-college",
            evidence=["river-plant/assessment-12", "north-college/exam-3"],
            address="/certificates/certificate-9",
            valid_until=date(2029, 5, 20),
        ),
    ),
    _concluded(
        "certification",
        "certificate-9",
        events.CertificateExpiring(
            competency=WELDING, scheme="welders-2026", institution="north-college", valid_until=date(2029, 5, 20)
        ),
    ),
    _concluded("certification", "certificate-9", events.CompetencyRevoked(reason="An assessment was corrected.")),
    _concluded(
        "certification",
        "certificate-9",
        events.CertificateIssued(
            institution="north-college",
            name="North College",
            number=8,
            evidence=[
                events.IssuedEvidence(
                    method=events.AssessmentMethod.workplace_demonstration,
                    assessor="river-plant",
                    name="River Plant",
                    day=date(2026, 5, 20),
                    method_title="workplace demonstration",
                    narrative="Assessed by River Plant on 2026-05-20.",
                )
            ],
            title={"en": "Welding", "ru": "Сварка"},
            language="en",
            public="https://praktika.example/certification",
            description="The competency “Welding”, level 4 of the European Qualifications Framework.",
            criteria="Assessed by: workplace demonstration. The scheme is North College's.",
            level_title="Level (EQF)",
        ),
    ),
    _concluded("certification", "certificate-9", events.CertificateCollected()),
    _concluded("certification", "certificate-9", events.CertificateHidden()),
    _concluded("certification", "certificate-9", events.CertificateShown()),
    _concluded("certification", LEARNER, events.LearnerErasureRequested(institution="north-college")),
    _by(
        PLANT,
        "places-2026-autumn",
        events.OpportunityPosted(
            kind=events.OpportunityKind.internship,
            title="Internship in the welding shop",
            places=6,
            competencies=[WELDING],
            closes_on=date(2026, 9, 15),
        ),
    ),
    _by(PLANT, "places-2026-autumn", events.OpportunityClosed(filled=5)),
    _concluded(
        "feedback",
        "request-77",
        events.FeedbackRequested(
            role=events.FeedbackRole.enterprise,
            respondent="river-plant",
            learner=LEARNER,
            institution="north-college",
            internship="internship-31",
            enterprise="river-plant",
            programme="welding",
            competencies=[WELDING],
            due=date(2026, 7, 15),
        ),
    ),
    _by(
        PLANT,
        "answer-40",
        events.FeedbackSubmitted(
            request="request-77",
            role=events.FeedbackRole.enterprise,
            programme="welding",
            internship="internship-31",
            enterprise="river-plant",
            overall=4,
            relevance=5,
            competencies={WELDING: 4, "greencomp:3.1": 3},
        ),
    ),
    _by(
        OPERATOR,
        "request-77",
        events.FeedbackWithdrawn(organisation="river-plant", submission="answer-40", reason="It was sent by mistake."),
    ),
    _concluded(
        "feedback",
        "request-77",
        events.FeedbackCancelled(
            role=events.FeedbackRole.enterprise, respondent="river-plant", learner=LEARNER, programme="welding"
        ),
    ),
    _concluded("feedback", "request-77", events.FeedbackErased()),
    _concluded(
        "feedback",
        "followup-9",
        events.FollowupOpened(
            programme="welding",
            months=6,
            institution="north-college",
            enterprise="river-plant",
            due=date(2027, 1, 14),
        ),
    ),
    _concluded(
        "feedback",
        "request-78",
        events.FeedbackReminded(
            role=events.FeedbackRole.graduate,
            respondent=LEARNER,
            learner=LEARNER,
            programme="welding",
            number=1,
            due=date(2027, 1, 14),
        ),
    ),
    _concluded(
        "feedback",
        "request-78",
        events.FeedbackExpired(
            role=events.FeedbackRole.graduate, respondent=LEARNER, learner=LEARNER, programme="welding"
        ),
    ),
    _by(
        OPERATOR,
        "graduate",
        events.QuestionnairePublished(
            version=2,
            questions=[
                events.Question(
                    id="overall",
                    kind=events.QuestionKind.overall,
                    words={"en": "How do you rate the programme?", "ru": "Как вы оцениваете программу?"},
                    required=True,
                ),
                events.Question(
                    id="found-by",
                    kind=events.QuestionKind.choice,
                    words={"en": "How did you find your work?", "ru": "Как вы нашли работу?"},
                    choices=[
                        events.QuestionChoice(
                            id="internship", words={"en": "Through practice", "ru": "Через практику"}
                        ),
                        events.QuestionChoice(id="other", words={"en": "Otherwise", "ru": "Иначе"}),
                    ],
                ),
            ],
        ),
    ),
    _by(
        PLANT,
        "demand-2027",
        events.DemandReported(
            competency=WELDING, places=40, horizon=date(2027, 12, 31), research="Staffing plan of the plant for 2027"
        ),
    ),
    _by(
        PLANT,
        "demand-2027",
        events.DemandAnnulled(competency=WELDING, event="demand-2027-reported", reason="It was meant for turners."),
    ),
    _by(
        OPERATOR,
        "hh:90017",
        events.VacancyObserved(
            portal="hh",
            title="Welder",
            area="Кемерово",
            region="north",
            skills=["TIG", "Чтение чертежей"],
            published_on=date(2026, 6, 10),
            enterprise="river-plant",
        ),
    ),
    _by(OPERATOR, "hh:90017", events.VacancyClosed(closed_on=date(2026, 6, 15))),
    _by(
        OPERATOR,
        skill_id("TIG"),
        events.SkillMapped(skill="TIG", competency=WELDING, decided_by="member-4"),
    ),
    _by(PLANT, "recognition-2", events.RecognitionGranted(competency=WELDING, since=date(2026, 6, 1))),
    _by(
        PLANT,
        "recognition-2",
        events.RecognitionWithdrawn(competency=WELDING, reason="The standard has been replaced."),
    ),
    _concluded(
        "certification",
        "welders-2026",
        events.SchemePublished(
            competency=WELDING,
            level=4,
            methods=[events.AssessmentMethod.exam, events.AssessmentMethod.workplace_demonstration],
            least_score=0.6,
            enterprise_required=True,
        ),
    ),
    _by(
        OPERATOR,
        "esco:00735755-adc6-4ea0-b034-b8caff339c9f",
        events.FrameworkItemDefined(
            framework="esco",
            version="1.2.0",
            name={"en": "install heat pump", "ru": "монтировать тепловой насос"},
            alternative={"en": ["heat pump installing", "commission heat pump"]},
            area={"en": "electricity and energy", "ru": "электроэнергетика"},
            broader=["esco:b85caa4a-f5b0-4b1f-8f9e-5d1d6cbd1e5b"],
            uri="http://data.europa.eu/esco/skill/00735755-adc6-4ea0-b034-b8caff339c9f",
            sustainability=True,
        ),
    ),
    _by(
        OPERATOR,
        "esco",
        events.FrameworkPublished(
            version="1.2.0",
            name={"en": "ESCO, European skills and competences", "ru": "ESCO, европейские навыки и компетенции"},
            items=591,
            origin="https://esco.ec.europa.eu",
            licence="© European Union; reuse with attribution",
        ),
    ),
    _by(
        OPERATOR,
        "low-employment",
        events.IndicatorRuleSet(
            indicator="employment_rate_18m", scope="programme", when=events.AlertWhen.below, threshold=0.6, least_n=20
        ),
    ),
    _by(OPERATOR, "falling-completion", events.IndicatorRuleRemoved()),
    _concluded(
        "monitoring",
        "low-employment",
        events.IndicatorAlerted(
            indicator="employment_rate_18m",
            scope="programme",
            scope_id="welding",
            value=0.52,
            threshold=0.6,
            window="2024",
            n=25,
            when=events.AlertWhen.below,
        ),
    ),
    _by(
        OPERATOR,
        "low-employment",
        events.IndicatorAcknowledged(
            indicator="employment_rate_18m", scope="programme", scope_id="welding", window="2024"
        ),
    ),
    _concluded(
        "partners",
        "refusal-3",
        events.EventRefused(
            organisation="river-plant",
            event="internship-31-completed",
            type="praktika.internship.completed.v1",
            rule="owner",
            reason="this internship belongs to other organisations",
        ),
    ),
)
EXAMPLES: dict[str, Event[Data]] = {event.type: event for event in _ALL}
