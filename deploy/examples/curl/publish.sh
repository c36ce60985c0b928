#!/usr/bin/env bash
# Publishes completed internships to Praktika: publish.sh TIME LEARNER...
set -euo pipefail
: "${PRAKTIKA_URL:?}" "${PRAKTIKA_CLIENT_ID:?}" "${PRAKTIKA_CLIENT_SECRET:?}"
[[ $# -ge 2 ]] || { echo "usage: publish.sh TIME LEARNER...  (TIME with offset: 2026-06-26T17:00:00+07:00)" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The events as a JSON array. An id follows from the enterprise's own record, so sending it again changes nothing; a
# digest, which names nobody.
completed() {
  local learner
  for learner in "${@:2}"; do
    printf '%s %s\n' "$(printf '%s %s' "$PRAKTIKA_CLIENT_ID" "$learner" | sha256sum | cut -c-16)" "$learner"
  done | jq -nR --arg by "$PRAKTIKA_CLIENT_ID" --arg time "$1" '[inputs / " " | {
    specversion: "1.0", id: "\(.[0])-completed", source: "/organisations/\($by)",
    type: "praktika.internship.completed.v1", subject: "\($by):\(.[0])", partitionkey: .[1], time: $time,
    data: {enterprise: $by, programme: "north-college:welding", hours: 160.5, competencies: ["greencomp:3.1"], outcome: "passed"}
  }]'
}

# Prints the status; the answer is in $work/answer. curl sends the same again after connection errors, 429 and 5xx, and
# waits as Retry-After says, or 1, 2, 4 ... seconds. What is secret comes in a file: arguments are seen by everyone.
post() {
  curl -sS -o "$work/answer" -w '%{http_code}' --max-time 30 --retry 7 --retry-all-errors --retry-max-time 300 \
    "$PRAKTIKA_URL$1" "${@:2}"
}

token() {
  local status
  status=$(post /token -d grant_type=client_credentials \
    -K <(printf 'user = "%s:%s"' "$PRAKTIKA_CLIENT_ID" "$PRAKTIKA_CLIENT_SECRET"))
  [[ $status == 200 ]] || { echo "no token: $status $(jq -r .error_description "$work/answer")" >&2; return 1; }
  jq -r .access_token "$work/answer"
}

send() {
  post /events -H @<(printf 'Authorization: Bearer %s' "$1") -H "Content-Type: $type" --data-binary "@$work/events"
}

completed "$@" > "$work/events"
type=application/cloudevents-batch+json
if [[ $# -eq 2 ]]; then # one event: structured
  type=application/cloudevents+json
  jq '.[0]' "$work/events" > "$work/event" && mv "$work/event" "$work/events"
fi

bearer=$(token)
status=$(send "$bearer")
if [[ $status == 401 ]]; then # the key has been changed, say: one more token, once
  bearer=$(token)
  status=$(send "$bearer")
fi

# A batch is answered item by item, one event by itself or by its problem.
jq -r --arg status "$status" '
  def why: "\(.detail // .title)" + ([.errors[]? | "\n  \(.field): \(.detail)"] | join(""));
  if .items then .items[] | if .problem then "\(.id): refused, \(.status) \(.problem | why)" else "\(.id): accepted, \(.event)" end
  elif .event then "\(.id): accepted, \(.event)"
  else "refused, \($status) \(why)" end' "$work/answer" 2> /dev/null ||
  echo "refused, $status $(head -c 200 "$work/answer")" # not by Praktika, but by a proxy before it
[[ $status == 202 ]]
