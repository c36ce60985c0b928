"use strict";
// Saves what is typed, a little after it was typed. Without this script there is a button.
(() => {
  const form = document.querySelector("form[data-saved]");
  const saved = document.getElementById("saved");
  if (!form || !saved) return;
  let timer = 0;
  const under_way = new AbortController();

  const body = () => {
    const typed = new URLSearchParams(new FormData(form));
    typed.set("draft", "1");
    return typed;
  };

  const save = async () => {
    timer = 0;
    try {
      const answer = await fetch(location.href, { method: "POST", body: body(), signal: under_way.signal });
      saved.textContent = answer.ok ? form.dataset.saved : "";
    } catch {
      saved.textContent = ""; // away: the next change tries again
    }
  };

  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(save, 1000);
  });
  form.addEventListener("submit", () => {
    clearTimeout(timer);
    timer = 0;
    under_way.abort();
  });
  addEventListener("pagehide", () => {
    if (timer) navigator.sendBeacon(location.href, body());
  });
})();
