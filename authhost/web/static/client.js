// A client of the JSON API for browsers and other programs with `fetch`. It has no dependencies.
//
//   import { AuthClient, AuthProblem } from "/account/static/client.js";
//   const auth = new AuthClient();
//   try {
//     const { user } = await auth.login({ identifier, password });
//   } catch (error) {
//     if (error instanceof AuthProblem) show(error.field, error.message);
//   }
//
// Each method sends the fields of one endpoint, and returns its result. The endpoints are
// described in the OpenAPI document, at `openapi.json` of the API.

/** A refusal: the problem document of RFC 9457. `code` is stable, `message` is for people. */
export class AuthProblem extends Error {
  /** @param {object} problem */
  constructor(problem) {
    super(problem.title);
    this.name = "AuthProblem";
    /** @type {number} */
    this.status = problem.status;
    /** @type {string} */
    this.code = problem.code;
    /** The field that is wrong. @type {string | undefined} */
    this.field = problem.field;
    /** Seconds. @type {number | undefined} */
    this.retryAfter = problem.retry_after;
    /** What the client can do to log in. @type {{step: string, path: string}[]} */
    this.next = problem.next ?? [];
  }
}

/** The endpoints after which an app has no token any more. */
const ENDING = new Set(["/logout", "/impersonation/stop", "/close"]);

export class AuthClient {
  #base;
  #token;
  #fetch;

  /**
   * @param {string} base The address of the API.
   * @param {object} options
   * @param {boolean} [options.app] For apps without cookies: keep the token in this object.
   * @param {string} [options.token] A session token that an app has stored.
   * @param {typeof fetch} [options.fetch]
   */
  constructor(base = "/account/api", { app = false, token = undefined, fetch = globalThis.fetch } = {}) {
    this.#base = base;
    this.#token = app ? (token ?? "") : undefined;
    this.#fetch = fetch.bind(globalThis);
  }

  /** The session token of an app, to be stored. @returns {string | undefined} */
  get token() {
    return this.#token;
  }

  // The site and the session.
  site = () => this.get("/site");
  session = () => this.get("/session");
  signup = (fields) => this.post("/signup", fields);
  login = (fields) => this.post("/login", fields);
  cancelLogin = () => this.post("/login/cancel");
  logout = () => this.post("/logout");
  reauthenticate = (fields) => this.post("/reauthenticate", fields);
  beginImpersonation = (fields) => this.post("/impersonation/begin", fields);
  stopImpersonation = () => this.post("/impersonation/stop");
  close = () => this.post("/close");

  // Addresses.
  confirmEmail = (fields) => this.post("/confirm-email", fields);
  sendConfirmation = (fields) => this.post("/confirm-email/send", fields);
  changePendingEmail = (fields) => this.post("/confirm-email/change", fields);
  emails = async () => (await this.get("/emails")).emails;
  addEmail = (fields) => this.post("/emails/add", fields);
  removeEmail = (fields) => this.post("/emails/remove", fields);
  makePrimary = (fields) => this.post("/emails/primary", fields);

  // The password.
  changePassword = (fields) => this.post("/password/change", fields);
  setPassword = (fields) => this.post("/password/set", fields);
  forgotPassword = (fields) => this.post("/forgot-password", fields);
  resetPassword = (fields) => this.post("/reset-password", fields);

  // Sessions and connections.
  sessions = async () => (await this.get("/sessions")).sessions;
  endSession = (fields) => this.post("/sessions/end", fields);
  endOtherSessions = () => this.post("/sessions/end-others");
  connections = async () => (await this.get("/connections")).connections;
  disconnect = (fields) => this.post("/connections/disconnect", fields);
  beginSocial = (fields) => this.post("/social/begin", fields);
  completeSocial = (fields) => this.post("/social/complete", fields);
  signupSocial = (fields) => this.post("/social/signup", fields);

  /** Read an endpoint, also one of a plugin: `get("/NAME/…")`. @param {string} path */
  get(path) {
    return this.#send(path, { method: "GET" });
  }

  /** Call an endpoint, also one of a plugin. @param {string} path @param {object} fields */
  post(path, fields = {}) {
    const headers = { "Content-Type": "application/json" };
    return this.#send(path, { method: "POST", headers, body: JSON.stringify(fields) });
  }

  async #send(path, { headers = {}, ...options }) {
    const sent = { Accept: "application/json", ...headers };
    if (this.#token !== undefined) sent["Authhost-Client"] = "app";
    if (this.#token) sent.Authorization = `Bearer ${this.#token}`;
    const credentials = this.#token === undefined ? "include" : "omit";
    const response = await this.#fetch(this.#base + path, { ...options, headers: sent, credentials });
    const { status, statusText } = response;
    const body = await response.json().catch(() => ({ title: statusText, status, code: "no_json" }));
    if (!response.ok || body.code === "no_json") throw new AuthProblem(body);
    if (this.#token !== undefined) {
      this.#token = body.session_token ?? body.pending_token ?? (ENDING.has(path) ? "" : this.#token);
    }
    return body;
  }
}
