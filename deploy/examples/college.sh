#!/usr/bin/env bash
# Plays the college of an enterprise that tries Praktika: college.sh LEARNER...
# An internship needs more than its enterprise: a college with a programme, learners who are enrolled, and an agreement
# that both have signed. This makes them, as far as they are not there. $SECRET is the operator's secret.
set -euo pipefail
: "${PRAKTIKA_URL:?}" "${PRAKTIKA_CLIENT_ID:?}" "${PRAKTIKA_CLIENT_SECRET:?}" "${SECRET:?}"
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

token() { # CLIENT SECRET
  curl -sSf "$PRAKTIKA_URL/token" -d grant_type=client_credentials -K <(printf 'user = "%s:%s"' "$1" "$2") |
    jq -r .access_token
}
ask() { # TOKEN METHOD PATH [BODY [TYPE]]: leaves the answer, with what was asked for applied, in $answer
  curl -sS --fail-with-body --retry 5 -o "$answer" -X "$2" "$PRAKTIKA_URL$3" -d "${4:-}" -H 'Prefer: wait=20' \
    -H @<(printf 'Authorization: Bearer %s' "$1") -H "Content-Type: ${5:-application/json}" || { cat "$answer" >&2; exit 1; }
}

operator=$(token operator "$SECRET")
ask "$operator" PUT /organisations/north-college '{"kind": "institution", "name": "North College", "region": "north"}'
ask "$operator" POST /organisations/north-college/credentials
credential=$(jq -r .credential "$answer")
college=$(token north-college "$(jq -r .client_secret "$answer")")

ask "$college" PUT /programmes/north-college:welding '{"title": "Welding", "version": "2026", "level": 4, "hours_workplace": 640}'
enrolments=$(jq -n '[$ARGS.positional[] | {
  specversion: "1.0", id: "enrolment-\(.)", source: "/organisations/north-college", subject: ., partitionkey: .,
  type: "praktika.learner.enrolled.v1", time: "2025-09-01T09:00:00+07:00", data: {programme: "north-college:welding"}
}]' --args "$@")
ask "$college" POST /events "$enrolments" application/cloudevents-batch+json
jq -e '.refused == 0' "$answer" > /dev/null || { cat "$answer" >&2; exit 1; }

agreement=/agreements/north-college:practice-$PRAKTIKA_CLIENT_ID
ask "$college" PUT "$agreement" "$(jq -n --arg enterprise "$PRAKTIKA_CLIENT_ID" '{
  parties: ["north-college", $enterprise], scope: "Practice of welders", programmes: ["north-college:welding"],
  valid_from: "2025-09-01"}')"
enterprise=$(token "$PRAKTIKA_CLIENT_ID" "$PRAKTIKA_CLIENT_SECRET")
ask "$enterprise" POST "$agreement/signature"
status=$(jq -r .status "$answer")
ask "$operator" DELETE "/organisations/north-college/credentials/$credential"
echo "north-college has enrolled $*; its agreement with $PRAKTIKA_CLIENT_ID is $status"
