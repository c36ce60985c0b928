#!/usr/bin/env bash
# Plays the college of an enterprise that tries Praktika: college.sh LEARNER...
# An internship needs more than its enterprise: a college with a programme, learners who are enrolled, and an agreement
# that both have signed. This makes them, as far as they are not there. $SECRET is the operator's secret.
set -euo pipefail
: "${PRAKTIKA_URL:?}" "${PRAKTIKA_CLIENT_ID:?}" "${PRAKTIKA_CLIENT_SECRET:?}" "${SECRET:?}"

token() {
  curl -sSf "$PRAKTIKA_URL/token" -d grant_type=client_credentials -K <(printf 'user = "%s:%s"' "$1" "$2") |
    jq -r .access_token
}
ask() { # TOKEN METHOD PATH [BODY]; waits until it is applied
  curl -sS --fail-with-body --retry 5 -X "$2" "$PRAKTIKA_URL$3" -H @<(printf 'Authorization: Bearer %s' "$1") \
    -H 'Prefer: wait=20' -H "Content-Type: ${5:-application/json}" -d "${4:-}"
}
done_() { ask "$@" > "$answer" || { cat "$answer" >&2; exit 1; }; }
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

operator=$(token operator "$SECRET")
done_ "$operator" PUT /organisations/north-college '{"kind": "institution", "name": "North College", "region": "north"}'
done_ "$operator" POST /organisations/north-college/credentials
college=$(token north-college "$(jq -r .client_secret "$answer")")
done_ "$operator" DELETE "/organisations/north-college/credentials/$(jq -r .credential "$answer")"

done_ "$college" PUT /programmes/welding '{"title": "Welding", "version": "2026", "level": 4, "hours_workplace": 640}'
done_ "$college" POST /events "$(jq -n '[$ARGS.positional[] | {
  specversion: "1.0", id: "enrolment-\(.)", source: "/organisations/north-college", subject: .,  partitionkey: .,
  type: "praktika.learner.enrolled.v1", time: "2025-09-01T09:00:00+07:00", data: {programme: "welding"}
}]' --args "$@")" application/cloudevents-batch+json

agreement=/agreements/practice-$PRAKTIKA_CLIENT_ID
done_ "$college" PUT "$agreement" "$(jq -n --arg enterprise "$PRAKTIKA_CLIENT_ID" '{
  parties: ["north-college", $enterprise], scope: "Practice of welders", programmes: ["welding"],
  valid_from: "2025-09-01"}')"
done_ "$(token "$PRAKTIKA_CLIENT_ID" "$PRAKTIKA_CLIENT_SECRET")" POST "$agreement/signature"
echo "north-college has enrolled $*; its agreement with $PRAKTIKA_CLIENT_ID is $(jq -r .status "$answer")"
