"use strict";

// A button with data-passkey asks the browser for a passkey (create: a new one, get: one that it has) and sends its form.
const question = document.getElementById("question");
if (window.PublicKeyCredential?.parseCreationOptionsFromJSON && question) {
  for (const button of document.querySelectorAll("button[data-passkey]")) {
    button.hidden = false;
    button.addEventListener("click", () => ask(button));
  }
}

async function ask(button) {
  const options = JSON.parse(question.textContent);
  const trouble = document.getElementById("passkey-trouble");
  trouble.textContent = "";
  button.disabled = true;
  try {
    const credential = button.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
    button.form.elements.passkey.value = JSON.stringify(credential.toJSON());
    button.form.submit();
  } catch {
    trouble.textContent = trouble.dataset.words;
    button.disabled = false;
  }
}

// What was typed before the session ended goes back to its page by itself.
document.getElementById("resume")?.submit();
