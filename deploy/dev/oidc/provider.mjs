// An identity provider with one person, for the tests: `node provider.mjs PORT CALLBACK`. Says "ready" once it listens.
import { createServer } from "node:http";
import Provider from "oidc-provider";

const [port, callback] = process.argv.slice(2);
const person = { login: "li@city.example", password: "password", accountId: "7" };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: "xueliang", client_secret: "hidden", redirect_uris: [callback], grant_types: ["authorization_code"] }],
  cookies: { keys: ["for tests only"] },
  features: { devInteractions: { enabled: false } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_, { uid }) => `/interaction/${uid}` },
  // Whoever signs in here has agreed to it.
  loadExistingGrant: async ({ oidc }) => {
    const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
});

async function body(request) {
  let text = "";
  for await (const part of request) text += part;
  return new URLSearchParams(text);
}

async function interact(request, response) {
  if (request.method === "GET") {
    response.setHeader("content-type", "text/html");
    response.end("<form method=post><input name=login><input name=password type=password><button>Sign in</button></form>");
    return;
  }
  const filled = await body(request);
  if (filled.get("login") !== person.login || filled.get("password") !== person.password) {
    response.statusCode = 401;
    response.end("wrong");
    return;
  }
  await provider.interactionFinished(request, response, { login: { accountId: person.accountId } });
}

const handle = provider.callback();
createServer((request, response) => {
  const done = request.url.startsWith("/interaction/") ? interact(request, response) : handle(request, response);
  Promise.resolve(done).catch((error) => {
    console.error(error);
    response.statusCode = 500;
    response.end();
  });
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
