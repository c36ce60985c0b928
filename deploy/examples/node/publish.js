// Publishes completed internships to Praktika: node publish.js TIME LEARNER...
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const { PRAKTIKA_URL: url, PRAKTIKA_CLIENT_ID: organisation, PRAKTIKA_CLIENT_SECRET: secret } = process.env;
const ATTEMPTS = 8;

// The id follows from the enterprise's own record, so sending it again changes nothing; a digest, which names nobody. The time (RFC 3339 with offset)
// comes from the record and not from the clock: it is part of what is said.
const record = (learner) => createHash("sha256").update(`${organisation} ${learner}`).digest("hex").slice(0, 16);
const completed = (time, learner) => ({
  specversion: "1.0",
  id: `${record(learner)}-completed`,
  source: `/organisations/${organisation}`,
  type: "praktika.internship.completed.v1",
  subject: `${organisation}:${record(learner)}`,
  partitionkey: learner,
  time,
  data: {
    enterprise: organisation,
    programme: "north-college:welding",
    hours: 160.5,
    competencies: ["greencomp:3.1"],
    outcome: "passed",
  },
});

// Sends the same until it is answered with something else than "not now".
async function send(path, headers, body) {
  let problem;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let pause = (0.5 + Math.random() / 2) * Math.min(30, 2 ** attempt);
    try {
      const response = await fetch(url + path, { method: "POST", headers, body, signal: AbortSignal.timeout(30_000) });
      const text = await response.text();
      if (response.status !== 429 && response.status < 500) return { status: response.status, said: parsed(text) };
      problem = `${response.status} ${text.slice(0, 200)}`;
      pause += Number(response.headers.get("retry-after")) || 0;
    } catch (error) {
      problem = error.cause ?? error;
    }
    if (attempt < ATTEMPTS - 1) await sleep(pause * 1000);
  }
  throw new Error(`gave up after ${ATTEMPTS} attempts, may be repeated: ${problem}`);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { title: text.slice(0, 200) };
  }
}

let token = { value: "", ends: 0 };

// A token with a minute left at least.
async function bearer() {
  if (Date.now() > token.ends - 60_000) {
    const form = { grant_type: "client_credentials", client_id: organisation, client_secret: secret };
    const type = "application/x-www-form-urlencoded";
    const { status, said } = await send("/token", { "Content-Type": type }, new URLSearchParams(form).toString());
    if (status !== 200) throw new Error(`no token: ${status} ${said.error_description ?? said.title}`);
    token = { value: said.access_token, ends: Date.now() + said.expires_in * 1000 };
  }
  return token.value;
}

async function sendEvents(type, body) {
  return send("/events", { Authorization: `Bearer ${await bearer()}`, "Content-Type": type }, body);
}

// Sends one event or a batch of up to 1,000; gives the answer to each: id, status, and event or problem.
async function publish(events) {
  const [kind, content] = events.length === 1 ? ["", events[0]] : ["-batch", events];
  const [type, body] = [`application/cloudevents${kind}+json`, JSON.stringify(content)];
  let { status, said } = await sendEvents(type, body);
  if (status === 401) {
    token.ends = 0;
    ({ status, said } = await sendEvents(type, body));
  }
  if (said.items) return said.items;
  if (status === 202) return [{ ...said, status }];
  return events.map(({ id }) => ({ id, status, problem: said }));
}

const [time, ...learners] = process.argv.slice(2);
if (!learners.length) {
  console.error("usage: node publish.js TIME LEARNER...  (TIME with offset: 2026-06-26T17:00:00+07:00)");
  process.exit(2);
}
for (const { id, status, event, problem } of await publish(learners.map((learner) => completed(time, learner)))) {
  if (!problem) {
    console.log(`${id}: accepted, ${event}`);
    continue;
  }
  process.exitCode = 1;
  console.log(`${id}: refused, ${status} ${problem.detail ?? problem.title}`);
  for (const { field, detail } of problem.errors ?? []) console.log(`  ${field}: ${detail}`);
}
