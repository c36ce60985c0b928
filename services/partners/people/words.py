"""The words for roles and for what the journal notes, marked for the catalogues."""

from shared.http.auth import Role
from shared.pages.languages import N_

ROLES = {
    Role.admin: N_("admin: everything, members and credentials, too"),
    Role.staff: N_("staff: all that the organisation does"),
    Role.mentor: N_("mentor: looks after interns"),
    Role.operator: N_("operator: runs the network"),
    Role.coordinator: N_("coordinator: reads everything, changes nothing"),
}
DETAILS = {
    "password": N_("password"),
    "passkey": N_("passkey"),
    "oidc": N_("the sign-in provider"),
    "link": N_("by a link"),
    "command line": N_("command line"),
}
JOURNAL = {
    "invited": N_("invited"),
    "withdrawn": N_("withdrew an invitation"),
    "joined": N_("accepted the invitation"),
    "provisioned": N_("came in through the sign-in provider"),
    "link_made": N_("made a new link for"),
    "renewed": N_("set a new password or passkey by a link"),
    "signed_in": N_("signed in"),
    "signed_out": N_("signed out"),
    "refused": N_("was refused: wrong password"),
    "role_changed": N_("changed the role of"),
    "removed": N_("removed"),
    "password_changed": N_("changed the password"),
    "passkey_added": N_("added a passkey"),
    "passkey_removed": N_("removed a passkey"),
    "session_ended": N_("ended a session"),
    "credential_made": N_("made a credential"),
    "credential_withdrawn": N_("withdrew a credential"),
}
