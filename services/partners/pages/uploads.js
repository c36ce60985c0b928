"use strict";

// While a file is worked on: show how far that is, and the whole page anew once it is done.
const place = document.querySelector("[data-progress]");
const far = place.querySelector("progress");
const words = place.querySelector(".done");

async function look() {
  const answer = await fetch(place.dataset.progress).catch(() => null);
  if (answer?.redirected) location.reload(); // the session has ended: to the sign-in, and back
  const job = answer?.ok ? await answer.json().catch(() => null) : null;
  if (job && job.state !== "waiting" && job.state !== "running") location.reload();
  else {
    if (job) {
      far.value = job.done;
      words.textContent = new Intl.NumberFormat(document.documentElement.lang).format(job.done);
    }
    setTimeout(look, 1000);
  }
}

setTimeout(look, 500);
