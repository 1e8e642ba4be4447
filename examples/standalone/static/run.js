// One run through the calls. It is kept in sessionStorage, for the page is left on the way.

import { inLines, shorten, shortened } from "./shorten.js";

const KEY = "pkce-run";

/** What comes after each state of a run. */
export const NEXT = {
  new: "challenge",
  challenged: "code",
  sent: "tenant",
  away: "answer",
  answered: "token",
};

/** A problem that the server told (RFC 9457), or that kept us from hearing it. */
export class Problem extends Error {
  constructor(document) {
    super(document.title);
    this.document = document;
  }
}

export class Run {
  constructor() {
    this.load();
  }

  load() {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
    /** "new", "challenged", "sent", "away", "answered", "signed-in" or "cleared" */
    this.at = kept.at ?? "new";
    /** Whether it goes on by itself. */
    this.all = kept.all ?? false;
    /** What was sent and received, by step, without secrets. */
    this.log = kept.log ?? {};
    this.last = kept.last ?? null;
    this.user = kept.user ?? null;
    this.problem = kept.problem ?? null;
    /** What the next step needs: the verifier until it was used, then nothing. */
    this.held = kept.held ?? {};
  }

  save() {
    sessionStorage.setItem(KEY, JSON.stringify(this));
  }

  reset() {
    sessionStorage.removeItem(KEY);
    this.load();
  }

  get next() {
    return NEXT[this.at] ?? null;
  }

  /** Take a step, and keep what came of it. */
  async take(step, url) {
    this.last = step;
    this.problem = null;
    this.log[step] = [];
    this.save();
    try {
      await this[step](url);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem = { step, ...error.document };
      // Who comes back without an answer can go there again, and on.
      this.all &&= error.document.again === "tenant";
    }
    this.save();
  }

  async challenge(url) {
    const { challenge } = await this.call("challenge", "GET", url);
    this.held = challenge;
    this.at = "challenged";
    if (await isHash(challenge.verifier, challenge.challenge)) {
      this.note("challenge", "Checked in this page: the challenge is BASE64URL(SHA-256(verifier)).");
    }
  }

  async code(url) {
    const answer = await this.call("code", "POST", url, {
      response_type: "code",
      state: this.held.state,
      code_challenge: this.held.challenge,
      code_challenge_method: this.held.method,
    }, ({ authorization_url }) => ({ authorization_url }));
    this.held = { ...this.held, address: answer.authorization_url, asked: url };
    this.at = "sent";
  }

  /** Only told: the page is gone while it happens. */
  tenant() {
    const [page, ...query] = inLines(this.held.address);
    const { origin: host, pathname } = new URL(page);
    const sent = query.map((line) => line.trim()).join("\n");
    this.log.tenant.push({ request: `GET ${pathname}`, host, sent });
    this.at = "away";
  }

  async answer(url) {
    // The browser brought the answer to the server; this page asks what it was.
    const { seed, result } = await this.call("answer", "POST", this.held.asked, {
      state: this.held.state,
    }, ({ result }) => (result ? { result } : "There is no result in it."));
    if (!result) {
      this.at = "sent";
      throw new Problem({
        title: "There is no answer of the tenant yet",
        detail: "You came back without signing in, or without being refused.",
        hint: "Go to the tenant again and sign in.",
        again: "tenant",
      });
    }
    this.log.answer.unshift(...carried(url, result, seed.response_mode));
    const { client_id: client, redirect_uri: redirect } = seed;
    this.held = { ...this.held, code: result.code, client, redirect };
    this.at = "answered";
  }

  async token(url) {
    const { auth0 } = await this.call("token", "POST", url, {
      grant_type: "authorization_code",
      client_id: this.held.client,
      redirect_uri: this.held.redirect,
      code: this.held.code,
      code_verifier: this.held.verifier,
    }, tokens);
    // Neither the verifier nor the tokens are needed here any more: the session has them.
    this.held = {};
    this.user = auth0.user;
    this.at = "signed-in";
    this.inside("token", auth0);
  }

  async refresh(url) {
    const { auth0 } = await this.call("refresh", "POST", url, {
      grant_type: "refresh_token",
    }, tokens);
    this.inside("refresh", auth0);
  }

  async clear(url) {
    await this.call("clear", "POST", url);
    this.held = {};
    this.user = null;
    this.at = "cleared";
  }

  /**
   * Send a request, and write it down with its answer.
   *
   * `gist` takes what matters out of a long answer.
   */
  async call(step, method, url, body, gist) {
    const entry = { request: `${method} ${url}`, sent: body && shortened(body) };
    this.log[step].push(entry);
    const headers = { Accept: "application/json" };
    if (body) headers["Content-Type"] = "application/json";
    let response, text;
    try {
      response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
      text = await response.text();
    } catch {
      throw new Problem({
        title: "The server does not answer",
        detail: "The request did not get through.",
        hint: "See whether it still runs, then try again.",
        again: step,
      });
    }
    entry.status = `${response.status} ${response.statusText}`.trim();
    const answer = parse(text);
    entry.received = shortened(answer);
    if (response.ok) {
      entry.gist = shortened(gist?.(answer));
      return answer;
    }
    const mayPass = [409, 429, 502, 503, 504].includes(response.status);
    throw new Problem({
      title: "The server answered with an error",
      ...answer,
      again: mayPass ? step : null,
    });
  }

  note(step, text) {
    this.log[step].push({ note: text });
  }

  inside(step, auth0) {
    const token = auth0.oAuth.token.id_token;
    if (!token) return;
    const bytes = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    const claims = JSON.parse(
      new TextDecoder().decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0))),
    );
    this.log[step].push({
      note: "The server checked the ID token: its signature, issuer, audience, times and nonce.",
      received: shortened(claims),
    });
  }
}

function tokens({ auth0 }) {
  return { auth0: { oAuth: auth0.oAuth, user: auth0.user } };
}

/** What the browser did between the tenant and this page. */
function carried(url, { code, state }, mode) {
  const form = `code=${shorten(code)}\n&state=${shorten(state)}`;
  const brought = mode === "query"
    ? { request: `GET ${url}`, by: "browser", sent: form.replace(/^/, "?") }
    : { request: `POST ${url}`, by: "browser", sent: form, from: "a form of the tenant" };
  return [
    { ...brought, status: "303 See Other", received: `Location: ${url}?ticket=…` },
    {
      request: `GET ${url}?ticket=…`, by: "browser", sent: "Cookie: pkce-…",
      status: "303 See Other", received: "Location: /",
    },
  ];
}

function parse(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return { detail: "It answered with something that is no JSON." };
  }
}

/** Whether a challenge is the S256 of a verifier (RFC 7636 4.2). */
async function isHash(verifier, challenge) {
  // Only on https and on a loopback host.
  if (!globalThis.crypto?.subtle) return false;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const text = btoa(String.fromCharCode(...new Uint8Array(hash)));
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "") === challenge;
}
