// The pages work without this script, except forms with a passkey or security key.

// Buttons that show a password.

for (const button of document.querySelectorAll("button.reveal")) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    input.focus();
  });
  // The browser's password manager expects a password field.
  input.form.addEventListener("submit", () => {
    input.type = "password";
  });
}

// A refusal at a field gets the focus, so that a screen reader reads it.
document.querySelector("[aria-invalid=true]")?.focus();

if (document.querySelector("input[data-credential]")) import("./credential_forms.js");
