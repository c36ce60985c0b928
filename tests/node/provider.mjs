// An OpenID Connect provider on loopback, with a sign-in form of its own. The address that is typed is the account;
// what begins with "unsure" is not verified. Arguments: port, client id, client secret, where to send people back to.
import Provider from "oidc-provider";

const [port, clientId, clientSecret, redirectUri] = process.argv.slice(2);
const provider = new Provider(`http://localhost:${port}`, {
  clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri] }],
  pkce: { required: () => true },
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ["only for tests"] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: !id.startsWith("unsure"), name: `Name of ${id.split("@")[0]}` }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
