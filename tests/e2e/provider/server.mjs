// An OpenID Provider as Auth0 would lay it out: its paths, its issuer with the trailing slash.
//
//   node server.mjs '{"port": 0, "iss": true, "clients": [{"client_id": "...", ...}]}'
//
// Every line on standard output is a JSON object: the first has the `issuer`, the later ones an
// `event` each. A line of standard input is answered by the event `pong`, which so comes after all
// that happened before; a number in it is how many milliseconds the token endpoint takes from now
// on. When standard input is closed, as by the end of its parent, it ends.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const { port = 0, iss = true, clients } = JSON.parse(process.argv[2]);
const HOUR = 3600;

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

let delay = 0;
process.stdin.on('data', (line) => {
  if (String(line).trim()) delay = Number(line);
  tell({ event: 'pong' });
}).on('end', () => process.exit(0));

// Longer than anybody here idles: a scripted browser does not repeat what it sent on a connection
// that was being closed.
const server = createServer({ keepAliveTimeout: 75_000 });
await new Promise((listening) => { server.listen(port, '127.0.0.1', listening); });
const issuer = `http://127.0.0.1:${server.address().port}/`;

// Unlike the adapter that oidc-provider brings, this one forgets nothing under load.
class Adapter {
  static rows = new Map();

  static ids = new Map();

  constructor(model) { this.key = (id) => `${model}:${id}`; }

  async upsert(id, payload) {
    Adapter.rows.set(this.key(id), payload);
    if (payload.uid) Adapter.ids.set(payload.uid, id);
  }

  async find(id) { return Adapter.rows.get(this.key(id)); }

  async findByUid(uid) { return this.find(Adapter.ids.get(uid)); }

  async destroy(id) { Adapter.rows.delete(this.key(id)); }

  async consume(id) { (await this.find(id)).consumed = Math.floor(Date.now() / 1000); }

  async revokeByGrantId(grantId) {
    for (const [key, { grantId: owner }] of Adapter.rows) {
      if (owner === grantId) Adapter.rows.delete(key);
    }
  }
}

// Who signed in through an organization has its id in the ID token, as at Auth0.
const organizations = new Map();

// Any name may sign in, with the password "secret".
const account = (login) => ({
  accountId: `auth0|${login}`,
  claims: () => ({
    sub: `auth0|${login}`,
    name: login[0].toUpperCase() + login.slice(1),
    nickname: login,
    email: `${login}@example.org`,
    email_verified: true,
    org_id: organizations.get(login),
  }),
});

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const provider = new Provider(issuer, {
  adapter: Adapter,
  clients,
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'e2e' }] },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  findAccount: (ctx, sub) => account(sub.slice('auth0|'.length)),
  claims: {
    openid: ['sub', 'org_id'],
    profile: ['name', 'nickname'],
    email: ['email', 'email_verified'],
  },
  conformIdTokenClaims: false, // as Auth0: the ID token says who it is
  extraParams: ['organization'],
  // By itself it calls no address of this machine.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  rotateRefreshToken: true,
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: false },
    rpInitiatedLogout: {
      logoutSource: (ctx, fields) => {
        ctx.body = `<!DOCTYPE html><html lang="en"><title>Sign out</title>${fields}
          <button form="op.logoutForm" name="logout" value="yes">Sign out</button>`;
      },
      postLogoutSuccessSource: (ctx) => { ctx.body = '<!DOCTYPE html><title>Signed out</title>'; },
    },
    revocation: { enabled: true, allowedPolicy: (ctx, client, token) => token.clientId === client.clientId },
  },
  routes: {
    authorization: '/authorize',
    token: '/oauth/token',
    revocation: '/oauth/revoke',
    pushed_authorization_request: '/oauth/par',
    userinfo: '/userinfo',
    jwks: '/.well-known/jwks.json',
    end_session: '/oidc/logout',
  },
  ttl: {
    AccessToken: HOUR,
    AuthorizationCode: 60,
    Grant: 24 * HOUR,
    IdToken: HOUR,
    Interaction: HOUR,
    RefreshToken: 24 * HOUR,
    Session: 24 * HOUR,
  },
});

provider.use(async (ctx, next) => {
  await next();
  if (!iss && ctx.oidc?.route === 'discovery') delete ctx.body.authorization_response_iss_parameter_supported;
});
provider.on('authorization.success', (ctx, answer) => {
  if (!iss) delete answer.iss;
  tell({ event: 'authorized', code: answer.code });
});
provider.on('authorization.error', (ctx, error) => tell({ event: 'refused', error: error.message }));
provider.on('grant.success', (ctx) => tell({ event: 'token', grant_type: ctx.oidc.params.grant_type }));
provider.on('grant.error', (ctx, error) => tell({
  event: 'token_refused', error: error.message, detail: error.error_description,
}));
provider.on('revocation.error', (ctx, error) => tell({ event: 'revocation_refused', error: error.message }));
provider.on('grant.revoked', () => tell({ event: 'revoked' }));
provider.on('backchannel.success', () => tell({ event: 'told_to_sign_out' }));
provider.on('backchannel.error', (ctx, error) => tell({ event: 'sign_out_refused', error: error.message }));
provider.on('server_error', (ctx, error) => console.error(error));

const page = (uid, fault = '') => `<!DOCTYPE html>
<html lang="en">
<title>Sign in at the tenant</title>
<form method="post" action="/interaction/${uid}">
  <p role="alert">${fault}</p>
  <label>User name <input name="login" autofocus></label>
  <label>Password <input name="password" type="password"></label>
  <button name="action" value="login">Log in</button>
  <button name="action" value="cancel">Cancel</button>
</form>
`;

async function form(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString());
}

// Consent is given silently, once somebody is signed in.
async function consent({ params }, accountId) {
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return { grantId: await grant.save() };
}

async function interact(request, response) {
  const interaction = await provider.interactionDetails(request, response);
  const show = (fault) => {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.end(page(interaction.uid, fault));
  };
  const finish = (result) => provider.interactionFinished(request, response, result);

  if (interaction.prompt.name === 'consent') {
    await finish({ consent: await consent(interaction, interaction.session.accountId) });
  } else if (request.method === 'GET') {
    show();
  } else {
    const fields = await form(request);
    const login = fields.get('login');
    if (fields.get('action') === 'cancel') {
      await finish({ error: 'access_denied', error_description: 'The user went away.' });
    } else if (!login || fields.get('password') !== 'secret') {
      show('Wrong user name or password.');
    } else {
      const { accountId } = account(login);
      organizations.set(login, interaction.params.organization);
      await finish({ login: { accountId }, consent: await consent(interaction, accountId) });
    }
  }
}

// Auth0 gives a refresh token for `offline_access` alone; this provider wants `prompt=consent`.
function askForConsent(address) {
  const url = new URL(address, issuer);
  const scope = url.searchParams.get('scope') ?? '';
  const prompt = url.searchParams.get('prompt') ?? '';
  if (url.pathname === '/authorize' && scope.split(' ').includes('offline_access') && prompt !== 'none') {
    url.searchParams.set('prompt', `${prompt} consent`.trim());
  }
  return url.pathname + url.search;
}

const answer = provider.callback();
server.on('request', (request, response) => {
  if (request.url.startsWith('/interaction/')) {
    interact(request, response).catch((error) => {
      response.statusCode = 400;
      response.end(error.message);
    });
  } else if (request.url === '/oauth/token') {
    tell({ event: 'token_asked' });
    setTimeout(() => answer(request, response).finally(() => tell({ event: 'token_done' })), delay);
  } else {
    request.url = askForConsent(request.url);
    answer(request, response);
  }
});

tell({ issuer });
