// Calls of the Web Authentication API (https://www.w3.org/TR/webauthn-3/) with JSON. It has no dependencies.
//
//   import { AuthClient } from "/account/static/client.js";
//   import { createCredential, getCredential } from "/account/static/webauthn.js";
//   const { options } = await auth.post("/NAME/…");  // an endpoint of the plugin
//   await auth.post("/NAME/…", { credential: await createCredential(options) });
//
// `options` are the JSON of PublicKeyCredentialCreationOptionsJSON or PublicKeyCredentialRequestOptionsJSON,
// as text or as an object. The result is the text for a field of the type public_key_create or
// public_key_get. Both functions reject with the DOMException of the browser: NotAllowedError if the
// person cancels it or takes too long, InvalidStateError if a new credential is registered already.

/** Whether this browser can use passkeys and security keys on a page of this address. */
export function isSupported() {
  return Boolean(globalThis.PublicKeyCredential && globalThis.navigator?.credentials?.create);
}

/** Whether this browser can offer passkeys in the autofill of a username. @returns {Promise<boolean>} */
export async function isConditionalMediationAvailable() {
  return isSupported() && Boolean(await PublicKeyCredential.isConditionalMediationAvailable?.());
}

/**
 * Register a passkey or security key.
 * @param {string | object} options
 * @param {{signal?: AbortSignal}} [init]
 * @returns {Promise<string>} RegistrationResponseJSON
 */
export async function createCredential(options, init = {}) {
  const publicKey = parse(options, PublicKeyCredential.parseCreationOptionsFromJSON, creationOptions);
  return toText(await navigator.credentials.create({ ...init, publicKey }));
}

/**
 * Use a passkey or security key.
 * @param {string | object} options
 * @param {{signal?: AbortSignal, mediation?: CredentialMediationRequirement}} [init]
 * @returns {Promise<string>} AuthenticationResponseJSON
 */
export async function getCredential(options, init = {}) {
  const publicKey = parse(options, PublicKeyCredential.parseRequestOptionsFromJSON, requestOptions);
  return toText(await navigator.credentials.get({ ...init, publicKey }));
}

function parse(options, ofBrowser, ofThisModule) {
  const json = typeof options === "string" ? JSON.parse(options) : options;
  return ofBrowser ? ofBrowser.call(PublicKeyCredential, json) : ofThisModule(json);
}

// For browsers without parseCreationOptionsFromJSON: Safari before 18.4, Chrome before 129.

function creationOptions(json) {
  const user = { ...json.user, id: decode(json.user.id) };
  return { ...challenge(json), user, excludeCredentials: descriptors(json.excludeCredentials) };
}

function requestOptions(json) {
  return { ...challenge(json), allowCredentials: descriptors(json.allowCredentials) };
}

function challenge(json) {
  return { ...json, challenge: decode(json.challenge) };
}

function descriptors(credentials = []) {
  return credentials.map((each) => ({ ...each, id: decode(each.id) }));
}

const BINARY = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];

function toText(credential) {
  try {
    return JSON.stringify(credential.toJSON());
  } catch {
    // An old browser, or the object of a password manager, whose toJSON is missing or throws.
  }
  const { response } = credential;
  const found = BINARY.filter((name) => response[name]).map((name) => [name, encode(response[name])]);
  return JSON.stringify({
    id: credential.id,
    rawId: encode(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    response: { ...Object.fromEntries(found), transports: response.getTransports?.() },
    clientExtensionResults: credential.getClientExtensionResults(),
  });
}

function decode(base64url) {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (each) => each.charCodeAt(0));
}

function encode(buffer) {
  const text = Array.from(new Uint8Array(buffer), (each) => String.fromCharCode(each)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
