"use strict";

// Shows what is new on a page while "Live" is pressed. Nothing jumps: what is open stays open, the focus stays where it is.

const EVERY_MS = 1000;
const button = document.getElementById("live");

// A document that was asked for as one needs no text to be taken for HTML.
function fetched(address) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("GET", address);
    request.responseType = "document";
    request.onload = () => (request.status === 200 && request.response ? done(request.response) : failed());
    request.onerror = failed;
    request.send();
  });
}

// Puts in the new text of each part that is marked, where it differs.
function update(page) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = page.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (!now || now.innerHTML === part.innerHTML) continue;
    part.replaceChildren(...[...now.childNodes].map((node) => document.importNode(node, true)));
  }
}

async function again() {
  if (button.getAttribute("aria-pressed") !== "true") return;
  if (!document.hidden) {
    try {
      update(await fetched(location.href));
      button.classList.remove("stale");
    } catch {
      button.classList.add("stale");
    }
  }
  setTimeout(again, EVERY_MS);
}

button.addEventListener("click", () => {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  if (on) again();
});
button.hidden = false;
