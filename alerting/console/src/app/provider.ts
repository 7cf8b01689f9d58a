// Signing in by the city's identity provider: whether this server offers it, as its page says, and where that begins. Pure.

/** Before sign-in the server serves nothing but the page, so the page itself says it. */
export const OFFERED = 'meta[name="xueliang-sign-in"][content="oidc"]';

/** Where signing in begins; afterwards the browser comes back to the page at this path. */
export function providerUrl(path: string): string {
  return `/sign-in/oidc?${new URLSearchParams({ to: path }).toString()}`;
}
