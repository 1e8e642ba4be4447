// Secrets are shown by their first characters and their length.

const SECRETS = new Set([
  "state", "nonce", "challenge", "code_challenge", "verifier", "code_verifier", "code",
  "ticket", "access_token", "refresh_token", "id_token", "at_hash",
]);

const SHOWN = 8;

/** The beginning of a text, and how long it is. */
export function shorten(text) {
  return text.length > SHOWN + 4 ? `${text.slice(0, SHOWN)}… (${text.length})` : text;
}

/** A copy of what was sent or received, without its secrets. */
export function shortened(value, name = "") {
  if (typeof value === "string") {
    if (SECRETS.has(name)) return shorten(value);
    return name === "authorization_url" ? inLines(value).join("\n") : value;
  }
  if (Array.isArray(value)) return value.map((item) => shortened(item));
  if (!value || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, shortened(member, key)]),
  );
}

/** An address, with a line for each parameter. */
export function inLines(address) {
  const url = new URL(address);
  const parameters = [...url.searchParams].map(
    ([name, value], index) => `  ${index ? "&" : "?"}${name}=${shortened(value, name)}`,
  );
  return [`${url.origin}${url.pathname}`, ...parameters];
}
