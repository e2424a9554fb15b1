// Forms with a passkey or security key: the button asks the browser for the credential, and then sends the form.

import { createCredential, getCredential, isConditionalMediationAvailable, isSupported } from "./webauthn.js";

/** Milliseconds after which new options are fetched: the server accepts a challenge for a few minutes. */
const MAX_AGE = 120_000;
const CHECK_INTERVAL = 10_000;
/** The attribute of the field with the message for an error of the browser. */
const MESSAGES = { NotAllowedError: "refused", AbortError: "refused", InvalidStateError: "registered" };

/** The form whose passkeys are offered in the autofill of the username, and the request that waits for it. */
let offering = null;
let waiting = { abort: () => {}, ended: Promise.resolve() };

class CredentialForm {
  #input;
  #form;
  #error;
  #fetched = Date.now();
  #isRunning = false;

  constructor(input) {
    this.#input = input;
    this.#form = input.form;
    this.#error = document.getElementById(input.dataset.error);
    document.getElementById(this.#form.dataset.unsupported).hidden = true;
    this.#form.hidden = false;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run();
    });
    if (this.#error.textContent) this.#form.querySelector("button:not([type=button])").focus();
  }

  get conditional() {
    return "conditional" in this.#input.dataset;
  }

  /** Offer passkeys in the autofill (conditional mediation) as long as the page is open. */
  offer() {
    this.wait();
    setInterval(async () => {
      if (document.hidden || this.#isRunning || !this.#isOld) return;
      await this.#renew();
      if (this.#isRunning) return;
      await stopWaiting();
      this.wait();
    }, CHECK_INTERVAL);
  }

  wait() {
    const controller = new AbortController();
    const init = { mediation: "conditional", signal: controller.signal };
    const ended = getCredential(this.#input.dataset.options, init).then(
      (credential) => this.#send(credential),
      () => {}, // it was ended, or the person has chosen no passkey
    );
    waiting = { abort: () => controller.abort(), ended };
  }

  async #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#error.textContent = "";
    try {
      await stopWaiting(); // a browser runs one request at a time
      if (this.#isOld) await this.#renew();
      const call = this.#input.dataset.credential === "create" ? createCredential : getCredential;
      this.#send(await call(this.#input.dataset.options));
    } catch (error) {
      const { dataset } = this.#input;
      this.#error.textContent = dataset[MESSAGES[error.name]] ?? dataset.failed;
      offering?.wait();
    } finally {
      this.#isRunning = false;
    }
  }

  #send(credential) {
    this.#input.value = credential;
    // Not form.submit(), which a field with the name "submit" would hide.
    HTMLFormElement.prototype.submit.call(this.#form);
  }

  get #isOld() {
    return Date.now() - this.#fetched > MAX_AGE;
  }

  /** Fetch the options anew. If the page has no such form any more, the server will refuse the old ones. */
  async #renew() {
    this.#fetched = Date.now();
    try {
      const response = await fetch(location.href, { headers: { Accept: "application/json" } });
      const found = fieldsOf(await response.json(), this.#form.getAttribute("action"), this.#input.name);
      if (found.length === 1) this.#input.dataset.options = found[0].value;
    } catch {
      // No connection: the old options are tried.
    }
  }
}

async function stopWaiting() {
  waiting.abort();
  await waiting.ended;
}

/** Return the fields of the forms for `action` in the value of a page, whose paths are below the prefix. */
function fieldsOf(page, action, name) {
  const sections = page.sections ?? [];
  const parts = [page, ...sections, ...sections.flatMap((each) => each.rows)];
  const forms = parts.flatMap((each) => each.forms ?? []).filter((each) => action.endsWith(each.action));
  return forms.flatMap((each) => each.fields).filter((each) => each.name === name && each.value);
}

const inputs = isSupported() ? [...document.querySelectorAll("input[data-credential]")] : [];
const forms = inputs.map((each) => new CredentialForm(each));
const conditional = forms.find((each) => each.conditional);
if (conditional && (await isConditionalMediationAvailable())) {
  offering = conditional;
  offering.offer();
}
