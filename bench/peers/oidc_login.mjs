// People log in through oidc-provider, unmodified: code flow with PKCE against our server, as a browser would.
// node oidc_login.mjs PEERS ISSUER SERVER REDIRECT → one line of JSON
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [peers, issuer, server, callback] = process.argv.slice(2);
const require = createRequire(`${peers}/package.json`);
const loaded = await import(pathToFileURL(require.resolve("oidc-provider")).href);
const Provider = loaded.Provider ?? loaded.default;

const people = {
  mara: { name: "Mara", email: "mara@shop.example", groups: ["staff", "choir"] },
  otto: { name: "Otto", email: "otto@shop.example", groups: ["choir"] },
};

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "engine",
      client_secret: "only-for:this measurement&+%",
      redirect_uris: [callback],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  claims: { openid: ["sub"], profile: ["name", "groups"], email: ["email"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ["only for this measurement"] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id, ...people[id] }) }),
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
});
// Whoever is named logs in without a form.
provider.use(async (ctx, next) => {
  if (!ctx.path.startsWith("/interaction/")) return next();
  const details = await provider.interactionDetails(ctx.req, ctx.res);
  ctx.respond = false;
  await provider.interactionFinished(ctx.req, ctx.res, { login: { accountId: details.params.login_hint } });
});
const listening = provider.listen(Number(new URL(issuer).port), "127.0.0.1");

// A browser: one jar for each place.
const browser = () => {
  const jars = new Map();
  const go = async (url, method = "GET", headers = {}) => {
    const origin = new URL(url).origin;
    const jar = jars.get(origin) ?? new Map();
    jars.set(origin, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(url, { method, redirect: "manual", headers: { ...headers, ...(cookie ? { cookie } : {}) } });
    for (const line of answer.headers.getSetCookie()) {
      const [pair] = line.split(";");
      const at = pair.indexOf("=");
      if (pair.slice(at + 1) === "") jar.delete(pair.slice(0, at));
      else jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return answer;
  };
  return go;
};
const code = async (answer) => (await answer.json()).code;
// The provider knows our server by the address in its settings; it listens elsewhere here.
const here = (url) => url.replace(new URL(callback).origin, server);

// From our server to the provider and back: the address that comes back.
const through = async (go, who) => {
  const begun = await go(`${server}/v1/login?back=/v1/streams`);
  let url = `${begun.headers.get("location")}&login_hint=${who}`;
  for (let i = 0; i < 10 && !url.startsWith(callback); i += 1) {
    const answer = await go(url);
    const to = answer.headers.get("location");
    if (!to) throw new Error(`${answer.status} at ${url}: ${await answer.text()}`);
    url = new URL(to, url).href;
  }
  return here(url);
};

const said = {};
try {
  const go = browser();
  const back = await through(go, "mara");
  const entered = await go(back);
  said.entered = entered.status;
  said.to = entered.headers.get("location");
  if (entered.status !== 302) said.entered_body = await entered.text();
  said.me = await (await go(`${server}/v1/me`)).json();
  said.streams = (await go(`${server}/v1/streams`)).status;
  said.keys = await code(await go(`${server}/v1/keys`));
  said.cross_site = await code(await go(`${server}/v1/logout`, "POST", { "sec-fetch-site": "cross-site" }));
  said.replayed = await code(await go(back));
  // The code again, with a state that is fresh.
  const other = browser();
  const fresh = new URL(await through(other, "mara"));
  fresh.searchParams.set("code", new URL(back).searchParams.get("code"));
  said.spent_code = await code(await other(fresh.href));
  // A link to end somebody else's login with.
  const victim = browser();
  said.other_browser = await code(await victim(await through(browser(), "mara")));
  const stranger = browser();
  said.stranger = await code(await stranger(await through(stranger, "otto")));
  said.left = (await (await go(`${server}/v1/logout`, "POST")).json()).ended;
  said.after = (await go(`${server}/v1/me`)).status;
} catch (error) {
  said.error = String(error);
}
console.log(JSON.stringify(said));
listening.close();
process.exit(0);
